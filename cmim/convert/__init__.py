"""Makes a network that someone else wrote binary, layer by layer.

The room itself can be called: ``cmim.convert(network, method="reactnet")`` is
:func:`cmim.convert.convert`.
"""

import sys
from types import ModuleType
from typing import Any

from torch import nn

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


class _Room(ModuleType):
    def __call__(
        self, network: nn.Module, *args: Any, **options: Any
    ) -> tuple[nn.Module, list[ConvertedRow]]:
        """See :func:`cmim.convert.convert`."""
        return convert(network, *args, **options)


sys.modules[__name__].__class__ = _Room
