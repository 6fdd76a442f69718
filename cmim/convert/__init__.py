"""Makes a network that someone else wrote binary, layer by layer."""

from cmim.convert.converted import ConvertedLayer
from cmim.convert.network import convert
from cmim.convert.output_stride import set_output_stride
from cmim.convert.place import place_converted, unplaced
from cmim.convert.table import ConvertedRow, format_rows
from cmim.convert.unpack import UnpackedAttention, unpack_attention

__all__ = [
    "ConvertedLayer",
    "ConvertedRow",
    "UnpackedAttention",
    "convert",
    "format_rows",
    "place_converted",
    "set_output_stride",
    "unpack_attention",
    "unplaced",
]
