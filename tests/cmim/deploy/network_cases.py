"""Small encoders of every kind, with batch-norm that does something."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from cmim.encoders import (
    BinaryBNext,
    BinaryMobileNet,
    BinaryMobileNetV1,
    BinaryMobileNetV2,
    BinaryQuickNet,
    BinaryResNet,
    BinaryVGGSmall,
)

# Class, options, and how many binary convolutions it has.
ENCODERS = {
    "resnet18": (BinaryResNet, dict(depth=18, base_channels=12), 16),
    "resnet20_plain": (
        BinaryResNet,
        dict(depth=20, base_channels=5, shortcuts="per_block"),
        18,
    ),
    "vgg_small": (BinaryVGGSmall, dict(base_channels=8), 5),
    "reactnet_a": (BinaryMobileNet, dict(base_channels=8), 31),
    "resnet50": (BinaryResNet, dict(depth=50, base_channels=4), 48),
    "mobilenet_v1": (BinaryMobileNetV1, dict(base_channels=8), 13),
    "mobilenet_v2": (BinaryMobileNetV2, dict(width_multiplier=0.1, multiple=4), 34),
    "quicknet": (BinaryQuickNet, dict(base_channels=8, output_stride=16), 16),
    "resnet18_pair": (BinaryResNet, dict(base_channels=8, stem="pair"), 16),
    "bnext": (BinaryBNext, dict(base_channels=4), 31),
}
# Weights that are binary with real activations, and no binary layer at all.
REAL_ACTIVATIONS = ("binary_connect", "fp", "twn")
ADDITIONS = ("bireal+unbalanced", "bireal+bidense_bypass")


def make(name: str, method: str) -> nn.Module:
    torch.manual_seed(0)
    kind, options, _ = ENCODERS[name]
    return disturb(kind(method=method, **options).eval())


def disturb(network: nn.Module) -> nn.Module:
    """Numbers in place of what layers start with, where that would hide a mistake."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    return network.requires_grad_(False)


def images(count: int, *size: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, 3, *size, generator=generator)


def check_alike(ours, expected) -> None:
    """A code beside its threshold may differ, and all that reads it: not everywhere."""
    alike = np.ones(len(ours[0]), bool)
    for a, b in zip(ours, expected, strict=True):
        assert a.shape == b.shape
        assert a.dtype == np.float32
        off = np.abs(a - b.numpy()).reshape(len(a), -1).max(axis=1)
        alike &= off < 1e-4 * b.abs().max().item()
    assert alike.any()
