"""Encoders: one architecture family per file, mmseg's backbone contract."""

import cmim.safe_loading  # noqa: F401
from cmim.encoders.binarized import BinarizedEncoder
from cmim.encoders.mix_transformer import BinaryMixTransformer
from cmim.encoders.mobilenet import BinaryMobileNet
from cmim.encoders.resnet import BinaryResNet
from cmim.encoders.vgg import BinaryVGGSmall

__all__ = [
    "BinarizedEncoder",
    "BinaryMixTransformer",
    "BinaryMobileNet",
    "BinaryResNet",
    "BinaryVGGSmall",
]
