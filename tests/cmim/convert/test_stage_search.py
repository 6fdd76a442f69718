"""Stages that one pass shows: maps, tokens, channels last, decoders, names."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import nn

from cmim.convert.stage_search import find_stages

SEARCHED = {
    "resnet18": ["relu", "layer1", "layer2", "layer3", "layer4"],
    "mobilenet_v3_small": ["features.0", "features.1", "features.3", "features.8"],
    "squeezenet1_1": ["features.1", "features.4", "features.7"],
    "shufflenet_v2_x0_5": ["conv1", "maxpool", "stage2", "stage3"],
    "mnasnet0_5": ["layers.7", "layers.8", "layers.9", "layers.11"],
}


def stages(network: nn.Module, *args, **options) -> list[tuple]:
    found = find_stages(network.eval(), *args, **options)
    return [(s.name, s.channels, s.stride, s.layout) for s in found]


def features_at(network: nn.Module, names: list[str], x: torch.Tensor) -> list:
    seen = {}
    for name in names:
        network.get_submodule(name).register_forward_hook(
            lambda module, args, out, name=name: seen.update({name: out})
        )
    network.eval()(x)
    return [seen[name] for name in names]


@pytest.mark.parametrize(
    "name",
    [
        "resnet18",
        "mobilenet_v3_small",
        "shufflenet_v2_x0_5",
        "mnasnet0_5",
        "squeezenet1_1",
        pytest.param("densenet121", marks=pytest.mark.full),
        pytest.param("regnet_y_400mf", marks=pytest.mark.full),
        pytest.param("efficientnet_b0", marks=pytest.mark.full),
        pytest.param("googlenet", marks=pytest.mark.full),
        pytest.param("mobilenet_v2", marks=pytest.mark.full),
        pytest.param("convnext_tiny", marks=pytest.mark.full),
        pytest.param("swin_t", marks=pytest.mark.full),
    ],
)
@torch.no_grad()
def test_networks_of_torchvision(name):
    """Channels and strides are those of another picture, too."""
    options = (
        {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    )
    network = torchvision.models.get_model(name, **options)
    found = stages(network)
    assert len(found) >= 4
    strides = [stride for _, _, stride, _ in found]
    assert strides == sorted(set(strides))
    assert strides[-1] in (16, 17, 32)
    maps = features_at(network, [s[0] for s in found], torch.zeros(1, 3, 128, 160))
    for (_, channels, stride, layout), out in zip(found, maps, strict=True):
        shape = out.movedim(-1, 1).shape if layout == "channels_last" else out.shape
        assert shape[1] == channels
        if name != "squeezenet1_1":  # which cuts borders off
            assert tuple(shape[2:]) == (-(-128 // stride), -(-160 // stride))


class Blocks(nn.Module):
    """A stem of stride 4 and two blocks, with the channels where ``layout`` says."""

    def __init__(self, channels: int, layout: str, extra: int = 0) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, channels, 4, 4)
        self.first, self.second = nn.Linear(channels, channels), nn.Identity()
        self.layout, self.extra = layout, extra

    def forward(self, x):
        x = self.stem(x)
        x = x.flatten(2).mT if self.layout == "tokens" else x.permute(0, 2, 3, 1)
        x = torch.cat([x[:, : self.extra], x], 1) if self.extra else x
        return self.second(self.first(x))


@pytest.mark.parametrize("channels", [5, 16, 32, 36, 40, 96])
def test_channels_last_of_nearly_as_many_channels_as_columns(channels):
    """36 channels beside 48 columns look like a map with a stride of 5."""
    network = Blocks(channels, "channels_last")
    assert stages(network, ["first"]) == [("first", channels, 4, "channels_last")]


@pytest.mark.parametrize("extra", [0, 1])
def test_tokens_with_and_without_a_class_token(extra):
    network = Blocks(12, "tokens", extra)
    assert stages(network, ["second"]) == [("second", 12, 4, "tokens")]
    assert stages(network)[-1][1:] == (12, 4, "tokens")


def test_a_decoder_ends_the_search():
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, 2, 1),
        nn.Conv2d(4, 8, 3, 2, 1),
        nn.Conv2d(8, 16, 3, 2, 1),
        nn.Upsample(scale_factor=4),
        nn.Conv2d(16, 2, 1),
    )
    found = stages(network)
    assert found == [("0", 4, 2, "maps"), ("1", 8, 4, "maps"), ("2", 16, 8, "maps")]


def test_names_that_are_no_stage():
    network = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.AdaptiveAvgPool2d(1))
    with pytest.raises(
        ValueError, match="stage 'layer' is no module that runs; choose"
    ):
        find_stages(network, ["layer"])
    with pytest.raises(ValueError, match="stage '1' gives no features of the picture"):
        find_stages(network, ["0", "1"])
    with pytest.raises(ValueError, match="gives features of the picture: name its"):
        find_stages(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(3, 2, 1)))
