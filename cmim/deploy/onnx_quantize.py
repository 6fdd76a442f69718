"""ONNX Runtime's own static quantization of an ``.onnx`` file to 8-bit integers."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

from torch import Tensor

from cmim.cpu_flags import cpu_flags
from cmim.whole_output import whole_output

# Processors without them add products of 8 bits in 16, which overflow: with weights of
# 7 bits they do not.
EXACT_PRODUCTS = ("avx512_vnni", "avx_vnni", "asimddp", "i8mm")


def quantize_onnx(
    source: str | Path, target: str | Path, images: Iterable[Tensor]
) -> None:
    """Write a file with 8-bit weights, a scale a channel, and 8-bit activations.

    As ONNX Runtime's documentation has it for x86: unsigned activations, signed
    weights, QDQ operators, ranges of the least and largest values seen; the graph is
    optimized first, so that batch-norms are part of the convolutions.

    Args:
        source: A float32 ``.onnx`` with one input.
        target: The file to write.
        images: Calibration inputs ``(N, C, H, W)``, normalised, of its size.
    """
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    waiting = iter([image.numpy() for image in images])

    class Reader(CalibrationDataReader):
        """Gives the images one by one."""

        def get_next(self) -> dict | None:
            image = next(waiting, None)
            return None if image is None else {"image": image}

    flags = cpu_flags()
    with tempfile.TemporaryDirectory() as folder, whole_output(target) as place:
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(str(source), str(prepared))
        quantize_static(
            str(prepared),
            str(place),
            Reader(),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=flags is not None and flags.isdisjoint(EXACT_PRODUCTS),
        )
