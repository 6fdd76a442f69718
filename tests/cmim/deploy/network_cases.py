"""Small encoders of every kind, with batch-norm that does something."""

from __future__ import annotations

import torch
from torch import nn

from cmim.encoders import BinaryMobileNet, BinaryResNet, BinaryVGGSmall

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
}
# Weights that are binary with real activations, and no binary layer at all.
REAL_ACTIVATIONS = ("binary_connect", "fp")
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
