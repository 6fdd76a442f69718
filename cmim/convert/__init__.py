"""Makes a network that someone else wrote binary, layer by layer."""

from cmim.convert.converted import ConvertedLayer
from cmim.convert.network import convert
from cmim.convert.output_stride import set_output_stride
from cmim.convert.phase import Phase
from cmim.convert.place import place_converted, unplaced
from cmim.convert.recalibrate import recalibrate_batch_norm
from cmim.convert.table import ConvertedRow, format_rows
from cmim.convert.unpack import UnpackedAttention, unpack_attention

__all__ = [
    "ConvertedLayer",
    "ConvertedRow",
    "Phase",
    "UnpackedAttention",
    "convert",
    "format_rows",
    "place_converted",
    "recalibrate_batch_norm",
    "set_output_stride",
    "unpack_attention",
    "unplaced",
]
