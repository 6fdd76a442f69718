"""Eight-bit integers for what stays full precision beside the binary layers.

Post-training quantization by NNCF: convolutions and products get 8-bit weights and
activations whose ranges are measured on calibration images. Binary convolutions and the
additions of shortcuts, which their thresholds depend on, are left as they are.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from importlib.util import find_spec

import openvino as ov
from torch import Tensor

# Operators whose outputs NNCF would round to 8 bits as well, at a cost and no gain.
LEFT_ALONE = (
    "BinaryConvolution", "FakeQuantize", "Add", "Multiply", "AvgPool", "MaxPool",
    "Interpolate",
)  # fmt: skip


def require_nncf() -> None:
    """Say what to install where NNCF is missing.

    Raises:
        ImportError: It is missing.
    """
    if find_spec("nncf") is None:
        raise ImportError(
            "8-bit layers are made by NNCF, which is not installed: "
            "pip install 'cmim[int8]', or pip install nncf"
        )


def quantize_rest(
    model: ov.Model, images: Iterable[Tensor], everything: bool = False
) -> ov.Model:
    """Quantize the layers that are not binary.

    Args:
        model: An exported network.
        images: Calibration inputs ``(N, 3, H, W)``, normalised, of its input size.
        everything: Also what ``LEFT_ALONE`` names: for full-precision networks, where
            integers then pass from layer to layer.

    Returns:
        Another model with 8-bit layers.
    """
    import nncf

    # It lists every operator that it leaves alone.
    nncf.set_log_level(logging.WARNING)
    data = [image.numpy() for image in images]
    scope = nncf.IgnoredScope(types=list(LEFT_ALONE), validate=False)
    return nncf.quantize(
        model,
        nncf.Dataset(data),
        ignored_scope=None if everything else scope,
        subset_size=len(data),
    )
