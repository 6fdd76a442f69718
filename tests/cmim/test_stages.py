"""What encoders say of their stages is what a pass shows; others are run once."""

from __future__ import annotations

import pytest
import torch
from mmseg.models.backbones import (
    MixVisionTransformer,
    MobileNetV2,
    ResNet,
    SwinTransformer,
    VisionTransformer,
)
from torch import Tensor, nn

from cmim.encoders import (
    BinaryBNext,
    BinaryMobileNet,
    BinaryMobileNetV1,
    BinaryMobileNetV2,
    BinaryQuickNet,
    BinaryResNet,
    BinaryVGGSmall,
)
from cmim.stages import (
    Stage,
    idle_stages,
    input_bands,
    probe_image,
    stage_names,
    stages_of,
)

ENCODERS = {
    "resnet": lambda **o: BinaryResNet(base_channels=4, **o),
    "dilated": lambda **o: BinaryResNet(base_channels=4, output_stride=8, **o),
    "cifar": lambda **o: BinaryResNet(depth=20, base_channels=4, **o),
    "bands": lambda **o: BinaryResNet(base_channels=4, in_channels=5, **o),
    "vgg": lambda **o: BinaryVGGSmall(base_channels=4, **o),
    "vgg_dilated": lambda **o: BinaryVGGSmall(base_channels=4, output_stride=2, **o),
    "mobilenet": lambda **o: BinaryMobileNet(base_channels=4, **o),
    "mobilenet_dilated": lambda **o: BinaryMobileNet(
        base_channels=4, output_stride=8, **o
    ),
    "bottlenecks": lambda **o: BinaryResNet(depth=50, base_channels=4, **o),
    "mobilenet_v1": lambda **o: BinaryMobileNetV1(base_channels=4, **o),
    "mobilenet_v2": lambda **o: BinaryMobileNetV2(
        width_multiplier=0.1, multiple=4, output_stride=8, **o
    ),
    "quicknet": lambda **o: BinaryQuickNet(base_channels=4, output_stride=16, **o),
    "fast_stem": lambda **o: BinaryResNet(base_channels=4, stem="grouped", **o),
    "bnext": lambda **o: BinaryBNext(base_channels=4, **o),
}


class Foreign(nn.Module):
    """An encoder of other names, which declares nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 4, 4, stride=4)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(4, 4, 2, stride=2), nn.ReLU(inplace=True))
            for _ in range(2)
        )
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        features = [self.norm(self.stem(x))]
        for block in self.blocks:
            features.append(block(features[-1]))
        return tuple(features)


class Tokens(Foreign):
    """Its blocks give tokens."""

    img_size = (32, 64)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return (self.norm2(self.norm(self.stem(x)).flatten(2).mT),)

    def __init__(self) -> None:
        super().__init__()
        self.norm2 = nn.LayerNorm(4)


def around(encoder: nn.Module) -> nn.Module:
    return nn.ModuleDict(dict(backbone=encoder))


@pytest.mark.parametrize("name", ENCODERS)
def test_declared_stages_are_those_of_a_pass(name):
    encoder = ENCODERS[name]()
    picture = probe_image(encoder)
    features = encoder.eval()(picture)
    assert len(features) == len(encoder.stages)
    for feature, stage in zip(features, encoder.stages, strict=True):
        assert feature.shape[1] == stage.channels
        assert feature.shape[2] * stage.stride == picture.shape[2]
        assert stage.layout == "maps"
    assert features[-1].shape[2:] == (2, 2)
    named = [f"backbone.{stage.name}" for stage in encoder.stages]
    assert [stage.name for stage in stages_of(around(encoder))] == named


def test_stages_that_do_not_run_are_idle():
    model = around(ENCODERS["resnet"](out_indices=(0, 1)))
    assert stage_names(model) == ["backbone.layer1", "backbone.layer2"]
    assert idle_stages(model) == ["backbone.layer3", "backbone.layer4"]
    assert [stage.channels for stage in stages_of(model)] == [4, 8]


def test_a_resnet_of_mmseg_names_its_stages():
    model = around(ResNet(18, out_indices=(1, 2), base_channels=8, stem_channels=8))
    assert stage_names(model) == [f"backbone.layer{k}" for k in (1, 2, 3)]
    assert idle_stages(model) == ["backbone.layer4"]
    assert [(s.channels, s.stride) for s in stages_of(model)] == [
        (8, 4),
        (16, 8),
        (32, 16),
    ]


def test_an_encoder_that_declares_nothing_is_run_once_and_left_as_it_was():
    encoder = Foreign()
    encoder.blocks[0].eval()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    assert stages_of(around(encoder)) == [
        Stage("backbone.norm", 4, 4),
        Stage("backbone.blocks.0", 4, 8),
        Stage("backbone.blocks.1", 4, 16),
    ]
    assert encoder.training
    assert not encoder.blocks[0].training
    for name, value in encoder.state_dict().items():
        assert torch.equal(value, before[name])


def test_tokens_are_a_layout():
    assert stages_of(around(Tokens())) == [Stage("backbone.norm2", 4, 4, "tokens")]


@pytest.mark.parametrize(
    ("encoder", "names", "strides"),
    [
        (
            lambda: MixVisionTransformer(
                embed_dims=8, num_heads=[1] * 4, num_layers=[1] * 4
            ),
            [f"layers.{k}.2" for k in range(4)],
            [4, 8, 16, 32],
        ),
        (
            lambda: SwinTransformer(embed_dims=8, depths=[1] * 4, num_heads=[1] * 4),
            [f"norm{k}" for k in range(4)],
            [4, 8, 16, 32],
        ),
        (
            lambda: VisionTransformer(
                img_size=(32, 64),
                embed_dims=16,
                num_layers=3,
                num_heads=2,
                out_indices=(0, 2),
            ),
            ["layers.0", "layers.2"],
            [16, 16],
        ),
    ],
    ids=["mit", "swin", "vit"],
)
def test_stages_of_transformers_that_return_maps_are_their_tokens(
    encoder, names, strides
):
    """Their modules give tokens; the maps that they return are made of them."""
    found = stages_of(around(encoder()))
    assert [stage.name for stage in found] == [f"backbone.{name}" for name in names]
    assert [stage.stride for stage in found] == strides
    assert {stage.layout for stage in found} == {"tokens"}


class TwoStems(nn.Module):
    """A second branch, of one band, stands in front of the first."""

    def __init__(self, in_channels: object = 3) -> None:
        super().__init__()
        self.depth_stem = nn.Conv2d(1, 8, 3)
        self.stem = nn.Conv2d(4, 8, 3)
        self.in_channels = in_channels


def test_bands_are_those_that_an_encoder_declares():
    assert input_bands(around(TwoStems(in_channels=4))) == 4
    assert input_bands(around(TwoStems(in_channels=(4, 1)))) == 1
    # Its in_channels is no option: it counts on while the layers are made.
    counting = MobileNetV2(out_indices=(1, 2, 4, 6))
    assert counting.in_channels == 320
    assert input_bands(around(counting)) == 3


def test_a_model_without_an_encoder_has_no_stages():
    assert (
        stage_names(nn.ReLU()) == stages_of(nn.ReLU()) == idle_stages(nn.ReLU()) == []
    )
