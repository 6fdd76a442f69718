"""Eight-bit integers for what stays full precision beside the binary layers.

Post-training quantization by NNCF: convolutions and products get 8-bit weights and
activations whose ranges are measured on calibration images. Binary convolutions and the
additions of shortcuts, which their thresholds depend on, are left as they are.

A max pooling behind the first convolution gets 8-bit values, too: at a quarter of the
memory traffic both take less time, and this is where the feature maps are largest. Not
where the engine must add channels behind it (to a multiple of 8): it would have to
write the number that lies below every threshold in 8 bits, and refuses to.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

import numpy as np
import openvino as ov
import openvino.opset13 as ops
from torch import Tensor

from cmim.deploy.shared_core import FLOAT32, kept_signal_stack, shared_core

# NNCF would round the outputs of these operators to 8 bits as well, without a gain.
LEFT_ALONE = (
    "BinaryConvolution", "FakeQuantize", "Add", "Multiply", "AvgPool", "MaxPool",
    "Interpolate",
)  # fmt: skip

AXES = np.array([0, 1, 2, 3], np.int64)


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

    # NNCF lists every operator that it leaves alone.
    nncf.set_log_level(logging.WARNING)
    data = [image.numpy() for image in images]
    scope = nncf.IgnoredScope(types=list(LEFT_ALONE), validate=False)
    shared_core()
    with kept_signal_stack():
        found = nncf.quantize(
            model,
            nncf.Dataset(data),
            ignored_scope=None if everything else scope,
            subset_size=len(data),
        )
    if not everything:
        _round_pooled(found, data)
    return found


def _round_pooled(model: ov.Model, images: list[np.ndarray]) -> None:
    """Round what max poolings take to 8 bits; no value changes its sign."""
    for node in model.get_ordered_ops():
        if node.get_type_name() != "MaxPool" or _is_padded(node):
            continue
        source = node.input_value(0)
        result = ops.result(ops.reduce_max(ops.absolute(source), ops.constant(AXES)))
        probe = shared_core().compile_model(
            ov.Model([result], model.get_parameters()).clone(), "CPU", FLOAT32
        )
        # NNCF takes the mean of the images' largest values for activations, too.
        top = np.float32(np.mean([probe(image)[0] for image in images]))
        # 0 lies between two levels, so that values beside it stay on their side.
        low, high = ops.constant(-top), ops.constant(top)
        rounded = ops.fake_quantize(source, low, high, low, high, levels=256)
        node.input(0).replace_source_output(rounded.output(0))
    model.validate_nodes_and_infer_types()


def _is_padded(node: ov.Node) -> bool:
    """Whether a layer that reads the output adds channels or a border to it."""
    readers = node.output(0).get_target_inputs()
    return any(reader.get_node().get_type_name() == "Pad" for reader in readers)
