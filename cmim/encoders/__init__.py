"""Encoders: one architecture family per file, mmseg's backbone contract."""

import cmim.safe_loading  # noqa: F401
from cmim.encoders.binarized import BinarizedEncoder
from cmim.encoders.bnext import BinaryBNext
from cmim.encoders.mix_transformer import BinaryMixTransformer
from cmim.encoders.mobilenet import BinaryMobileNet
from cmim.encoders.mobilenet_v1 import BinaryMobileNetV1
from cmim.encoders.mobilenet_v2 import BinaryMobileNetV2
from cmim.encoders.quicknet import BinaryQuickNet
from cmim.encoders.resnet import BinaryResNet
from cmim.encoders.vgg import BinaryVGGSmall

__all__ = [
    "BinarizedEncoder",
    "BinaryBNext",
    "BinaryMixTransformer",
    "BinaryMobileNet",
    "BinaryMobileNetV1",
    "BinaryMobileNetV2",
    "BinaryQuickNet",
    "BinaryResNet",
    "BinaryVGGSmall",
]
