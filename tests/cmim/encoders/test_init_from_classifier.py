"""init_from between tasks and stems: from a classifier to a dense task."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmseg.models import SegDataPreProcessor
from mmseg.registry import MODELS
from torch import nn

import cmim.models  # noqa: F401
import tasks.classification
import tasks.segmentation  # noqa: F401
from cmim.checkpoint import CheckpointError
from cmim.encoders import BinaryResNet
from cmim.encoders.pretrained import load_latent_weights


def make_encoder(method: str = "bireal", seed: int = 0, **options) -> BinaryResNet:
    torch.manual_seed(seed)
    return BinaryResNet(method=method, **{"base_channels": 4, **options})


def randomize(module: nn.Module) -> None:
    """Every weight and statistic away from its start, so that a skipped one shows."""
    generator = torch.Generator().manual_seed(5)
    for module_ in module.modules():
        if isinstance(module_, nn.BatchNorm2d):
            held = (module_.weight, module_.bias, module_.running_mean)
            for value in (v for v in held if v is not None):
                value.data.normal_(std=0.5, generator=generator)
            module_.running_var.uniform_(0.5, 1.5, generator=generator)


def save_classifier(path: Path, options: dict, method: str, wrapped: bool) -> dict:
    """A classifier with all its state, as training writes it."""
    backbone = dict(type="BinaryResNet", method=method, base_channels=4, **options)
    model = dict(
        type="ImageClassifier",
        backbone=backbone,
        head=dict(type="LinearHead", in_channels=32, num_classes=5),
    )
    if wrapped:
        model = dict(type="CMIM", model=model, partner="latent")
    built = MODELS.build(model)
    randomize(built)
    torch.save({"state_dict": built.state_dict(), "meta": {}}, path)
    return built.state_dict()


@pytest.mark.parametrize("wrapped", [False, True], ids=["plain", "cmim"])
@pytest.mark.parametrize("method", ["bireal", "reactnet", "irnet"])
def test_a_classifier_starts_a_dense_task(method, wrapped, tmp_path):
    state = save_classifier(tmp_path / "last.pth", {}, method, wrapped)
    torch.manual_seed(3)
    dense = MODELS.build(
        dict(
            type="SegmentationModel",
            data_preprocessor=dict(
                type=SegDataPreProcessor, mean=[0.0] * 3, std=[1.0] * 3
            ),
            backbone=dict(
                type="BinaryResNet",
                method=method,
                base_channels=4,
                output_stride=8,
                init_from=str(tmp_path / "last.pth"),
            ),
            decode_head=dict(
                type="DeepLabHead", in_channels=32, channels=8, num_classes=5
            ),
            test_cfg=dict(mode="whole"),
        )
    )
    head = {k: v.clone() for k, v in dense.decode_head.state_dict().items()}
    dense.init_weights()
    for key, value in dense.backbone.state_dict().items():
        assert torch.equal(value, state[f"backbone.{key}"]), key
    assert set(head) == set(dense.decode_head.state_dict())


@pytest.mark.parametrize("prefix", ["module.", "module.backbone."])
def test_a_prefix_of_several_gpus_is_taken_off(prefix, tmp_path):
    twin = make_encoder("fp", seed=7)
    randomize(twin)
    saved = twin.state_dict()
    torch.save({f"{prefix}{k}": v for k, v in saved.items()}, tmp_path / "gpus.pth")
    encoder = make_encoder("bireal")
    load_latent_weights(encoder, tmp_path / "gpus.pth")
    for key, value in encoder.state_dict().items():
        assert torch.equal(value, saved[key]), key


@pytest.mark.parametrize(
    ("theirs", "ours", "said"),
    [
        ("cifar", "imagenet", r"stem is 3x3 \(cifar\) and the encoder's 7x7 \(imagen"),
        ("imagenet", "cifar", r"stem='cifar', or set backbone.stem=imagenet$"),
    ],
)
def test_another_stem_is_said(theirs, ours, said, tmp_path):
    torch.save(make_encoder(stem=theirs).state_dict(), tmp_path / "stem.pth")
    with pytest.raises(CheckpointError, match=said):
        load_latent_weights(make_encoder(stem=ours), tmp_path / "stem.pth")
    load_latent_weights(make_encoder(stem=theirs), tmp_path / "stem.pth")


def test_foreign_names_are_said_with_what_is_accepted(tmp_path):
    state = {"features.0.weight": torch.zeros(2), "features.0.bias": torch.zeros(2)}
    torch.save(state, tmp_path / "vgg.pth")
    with pytest.raises(
        CheckpointError, match=r"accepted are torchvision's.* has featur"
    ):
        load_latent_weights(make_encoder(), tmp_path / "vgg.pth")


@pytest.mark.parametrize(
    "encoder",
    [
        "BinaryVGGSmall",
        "BinaryMobileNet",
        "BinaryMobileNetV1",
        "BinaryQuickNet",
        pytest.param("BinaryBNext", marks=pytest.mark.full),
    ],
)
def test_other_encoders_start_from_their_twin(encoder, tmp_path):
    twin = MODELS.build(dict(type=encoder, method="fp", base_channels=4))
    randomize(twin)
    torch.save(twin.state_dict(), tmp_path / "twin.pth")
    for method in ("bireal", "reactnet"):
        options = dict(type=encoder, method=method, base_channels=4)
        net = MODELS.build(dict(options, init_from=str(tmp_path / "twin.pth")))
        start = net.state_dict()
        net.init_weights()
        for key, value in net.state_dict().items():
            expected = twin.state_dict().get(key, start[key])
            assert torch.equal(value, expected), key
    other = MODELS.build(dict(type=encoder, method="fp", base_channels=8))
    with pytest.raises(CheckpointError, match=rf"a {encoder}: "):
        load_latent_weights(other, tmp_path / "twin.pth")
