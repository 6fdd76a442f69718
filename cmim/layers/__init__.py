"""Binary layers and blocks, built from a method's binarizers."""

from cmim.layers.binary_weights import BinaryWeightLayer
from cmim.layers.block import BasicBlock
from cmim.layers.conv import BinaryConv2d, make_conv
from cmim.layers.unit import BinaryUnit, ConvUnit

__all__ = [
    "BasicBlock",
    "BinaryConv2d",
    "BinaryUnit",
    "BinaryWeightLayer",
    "ConvUnit",
    "make_conv",
]
