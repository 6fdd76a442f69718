"""Binary layers and blocks, built from a method's binarizers."""

from cmim.layers.attention import ATTENTIONS, AttentionProducts, TokenAttention
from cmim.layers.binary_weights import BinaryWeightLayer
from cmim.layers.block import BasicBlock
from cmim.layers.bottleneck import Bottleneck
from cmim.layers.conv import BinaryConv2d, make_conv
from cmim.layers.linear import BinaryLinear
from cmim.layers.projection import ProjectionUnit
from cmim.layers.tokens import TokenActivation, TokenScale
from cmim.layers.transposed import BinaryConvTranspose2d
from cmim.layers.unit import BinaryUnit, ConvUnit

__all__ = [
    "ATTENTIONS",
    "AttentionProducts",
    "BasicBlock",
    "BinaryConv2d",
    "BinaryConvTranspose2d",
    "BinaryLinear",
    "BinaryUnit",
    "BinaryWeightLayer",
    "Bottleneck",
    "ConvUnit",
    "ProjectionUnit",
    "TokenActivation",
    "TokenAttention",
    "TokenScale",
    "make_conv",
]
