"""Encoders with heads that resize features within the network."""

from __future__ import annotations

import mmseg.models  # noqa: F401 - fills the registry
import torch
from mmseg.registry import MODELS
from network_cases import disturb
from torch import nn

import tasks.normals
import tasks.segmentation  # noqa: F401 - register their heads
from cmim.encoders import BinaryResNet

SIZE = (72, 88)
LEVELS = dict(in_channels=(8, 16, 32, 64), in_index=(0, 1, 2, 3), channels=16)
TWO = dict(in_channels=(16, 64), in_index=(1, 3), channels=8, dilations=(1,))
CONVERTED = dict(type="BinarizedHead", num_classes=5, norm_cfg=dict(type="BN"))
FUSED_HEADS = dict(
    deeplab=dict(type="DeepLabHead", num_classes=5, method="bireal", **TWO),
    normals=dict(type="NormalHead", method="reactnet", **TWO),
    segformer=dict(head="SegformerHead", method="reactnet", **CONVERTED, **LEVELS),
    # Its pyramid pools maps of 5x6 pixels to 1, 2, 3 and 6.
    uper=dict(head="UPerHead", method="bireal", **CONVERTED, **LEVELS),
)


class Fused(nn.Module):
    """Strides of 4, 8, 16 and 32."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.encoder = BinaryResNet(method="bireal", base_channels=8, output_stride=32)
        self.head = MODELS.build(FUSED_HEADS[name])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.encoder(x))


def fused(name: str) -> nn.Module:
    """An encoder with the head of that name."""
    torch.manual_seed(0)
    return disturb(Fused(name).eval())
