"""Encoders: one architecture family per file, mmseg's backbone contract."""

from cmim.encoders.resnet import BinaryResNet

__all__ = ["BinaryResNet"]
