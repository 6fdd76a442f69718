"""Full-precision encoders with torchvision's weights are torchvision's networks."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import Tensor, nn

from cmim.checkpoint import CheckpointError
from cmim.encoders import BinaryMobileNetV2, BinaryResNet
from cmim.encoders.pretrained import load_latent_weights


def randomize(network: nn.Module) -> nn.Module:
    """Statistics away from their start, so that a skipped one shows."""
    generator = torch.Generator().manual_seed(5)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
            module.weight.data.uniform_(0.5, 1.5, generator=generator)
            module.bias.data.normal_(std=0.1, generator=generator)
    return network.eval()


def resnet_stages(network: nn.Module, x: Tensor) -> list[Tensor]:
    x = network.maxpool(network.relu(network.bn1(network.conv1(x))))
    return [x := network.get_submodule(f"layer{k}")(x) for k in (1, 2, 3, 4)]


def mobilenet_stages(network: nn.Module, x: Tensor) -> list[Tensor]:
    every = [x := module(x) for module in network.features]
    return [every[k] for k in (3, 6, 13, 18)]


def check(ours: nn.Module, theirs: nn.Module, stages, path) -> None:
    torch.save(theirs.state_dict(), path)
    load_latent_weights(ours, path)
    behind = ("fc.", "classifier.")
    named = [key for key in theirs.state_dict() if not key.startswith(behind)]
    assert list(ours.state_dict()) == named
    x = torch.randn(2, 3, 65, 49, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = stages(theirs, x)
        for feature, wanted in zip(ours.eval()(x), expected, strict=True):
            assert torch.equal(feature, wanted)
            assert wanted.std() > 0.01


@pytest.mark.parametrize("depth", [50, pytest.param(101, marks=pytest.mark.full)])
def test_deep_resnets_are_torchvisions_in_every_bit(depth, tmp_path):
    torch.manual_seed(0)
    theirs = randomize(torchvision.models.get_model(f"resnet{depth}"))
    ours = BinaryResNet(depth=depth, method="fp", shortcuts="per_block")
    check(ours, theirs, resnet_stages, tmp_path / "weights.pth")


@pytest.mark.parametrize("width", [1.0, 0.35, 0.75, 1.4])
def test_mobilenet_v2_is_torchvisions_in_every_bit(width, tmp_path):
    torch.manual_seed(0)
    theirs = randomize(torchvision.models.MobileNetV2(width_mult=width))
    ours = BinaryMobileNetV2("fp", width_multiplier=width, shortcuts="per_block")
    check(ours, theirs, mobilenet_stages, tmp_path / "weights.pth")


def test_mobilenet_v2_takes_torchvisions_weights_as_latent_weights(tmp_path):
    theirs = randomize(torchvision.models.MobileNetV2(width_mult=0.25))
    torch.save(theirs.state_dict(), tmp_path / "weights.pth")
    ours = BinaryMobileNetV2(
        "reactnet", width_multiplier=0.25, init_from=str(tmp_path / "weights.pth")
    )
    ours.init_weights()
    state, given = ours.state_dict(), theirs.state_dict()
    loaded = [key for key in given if key in state]
    assert loaded == [key for key in given if not key.startswith("classifier.")]
    assert all(torch.equal(state[key], given[key]) for key in loaded)


@pytest.mark.parametrize(
    ("width", "said"),
    [
        (1.4, "8 channels behind the stem and the encoder 48: .* width_multiplier$"),
        (0.25, r"missing \(first 'features\.18"),
    ],
)
def test_mobilenet_v2_refuses_another_width_and_a_part(width, said, tmp_path):
    state = torchvision.models.MobileNetV2(width_mult=0.25).state_dict()
    if width == 0.25:
        state = {k: v for k, v in state.items() if not k.startswith("features.18")}
    torch.save(state, tmp_path / "weights.pth")
    with pytest.raises(CheckpointError, match=said):
        load_latent_weights(
            BinaryMobileNetV2(width_multiplier=width), tmp_path / "weights.pth"
        )
