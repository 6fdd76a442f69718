r"""A binary convolution as an OpenVINO graph around ``BinaryConvolution``.

The engine multiplies bits: XOR, population count, one addition a word. Around it

- ``FakeQuantize`` with two levels compares with the threshold. It says ``x > t``, so t
  is the float below the threshold; below 0 the smallest normal number, as engines
  take subnormal numbers for 0.
- Zeros outside of the image are neither sign. The operator knows them
  (``pad_value=0``) up to a padding of 2 (4 with AVX-512, but a file must run with
  every instruction set), in images that are wide enough; else the
  input is padded with what binarizes to -1 and the sum of the weights that lie outside
  is added: a convolution of one channel of ones, which the engine folds when it
  compiles the network.
- Activations of levels 0 and 1 are padded with bit 0 and need no correction.
- The engine is wrong for input channels that are no multiple of 8: missing ones are
  added in pairs of opposite weights, and a single one is corrected for.
"""

from __future__ import annotations

import numpy as np
import openvino.opset1 as opset1
import openvino.opset13 as ops
from openvino import Node, Output, Shape, Tensor, Type
from openvino.op import Constant

from cmim.deploy.binary_layer import BinaryLayer, SignStep, SignTerm

SMALLEST = np.float32(np.finfo(np.float32).tiny)
# A finite number that certainly lies below every threshold.
LOWEST = np.float32(-1e30)
# This is the limit with SSE4.1 and AVX2; AVX-512 takes 4.
LARGEST_PADDING = 2
CHANNEL_BLOCK = 8


def below(threshold: np.ndarray) -> np.ndarray:
    """The float t with ``x > t`` where ``x >= threshold``, for normal numbers.

    Examples:
        >>> below(np.float32([0.0, 1.0])).tolist()
        [-1.1754943508222875e-38, 0.9999999403953552]
    """
    threshold = threshold.astype(np.float32)
    found = np.nextafter(threshold, np.float32(-np.inf))
    return np.where(np.abs(threshold) <= SMALLEST, -SMALLEST, found).astype(np.float32)


def pack_bits(signs: np.ndarray) -> np.ndarray:
    """Signs as bits, 1 for +1, the first in the lowest place of the first byte.

    Examples:
        >>> pack_bits(np.array([1, -1, 1, 1], np.int8)).tolist()
        [13]
    """
    return np.packbits(signs.ravel() > 0, bitorder="little")


def add_layer(x: Output, layer: BinaryLayer, width: int | None = None) -> Output:
    """The layer's graph.

    Args:
        x: Real activations ``(N, I, H, W)``, float32.
        layer: The layer to compute.
        width: W if it is known. The operator refuses images narrower than its padding.

    Returns:
        ``(N, O, H', W')``, float32.
    """
    if layer.centred:
        axes = ops.constant(_integers([1, 2, 3]))
        # As in torch, the mean of a constant is that constant, however sums round.
        mean = ops.minimum(
            ops.maximum(
                ops.reduce_mean(x, axes, keep_dims=True),
                ops.reduce_min(x, axes, keep_dims=True),
            ),
            ops.reduce_max(x, axes, keep_dims=True),
        )
        x = ops.subtract(x, mean).output(0)
    explicit = max(layer.padding) > LARGEST_PADDING
    explicit |= width is not None and width < 2 * layer.padding[1]
    missing = -layer.shape[1] % CHANNEL_BLOCK
    source = x
    if explicit or missing:
        rows, columns = layer.padding if explicit else (0, 0)
        begin, end = (
            _integers([0, 0, rows, columns]),
            _integers([0, missing, rows, columns]),
        )
        x = ops.pad(x, begin, end, "constant", ops.constant(LOWEST)).output(0)
    total = None
    for step in layer.steps:
        outside = -1 if explicit else _outside(step)
        bits = _compare(x, step, missing)
        for term in layer.terms:
            part = _product(bits, source, layer, step, term, outside, explicit)
            total = part if total is None else ops.add(total, part).output(0)
    assert total is not None
    return total


def _outside(step: SignStep) -> int:
    """The sign outside of the image that costs the least correction."""
    if step.low == 0:
        return -1
    return 1 if step.high == 0 else 0


def _compare(x: Output, step: SignStep, missing: int) -> Output:
    """Bits of the activation as the operator takes them."""
    threshold = below(step.threshold)
    if len(threshold) > 1:
        threshold = np.pad(threshold, (0, missing))
    at = ops.constant(threshold.reshape(1, -1, 1, 1))
    zero, one = (ops.constant(np.float32(v)) for v in (0, 1))
    return ops.fake_quantize(x, at, at, zero, one, levels=2).output(0)


def _product(
    bits: Output,
    source: Output,
    layer: BinaryLayer,
    step: SignStep,
    term: SignTerm,
    outside: int,
    explicit: bool,
) -> Output:
    """``scale * (half * W * s + middle * W * 1)`` with zeros outside of the image."""
    filters = term.filters
    o, _, kh, kw = filters.shape
    missing = -layer.shape[1] % CHANNEL_BLOCK
    # Bit 0 is multiplied by +1, -1, +1, ...: pairs cancel, and a single one is left.
    extra = np.ones((o, missing, kh, kw), np.int8)
    extra[:, 1::2] = -1
    signs = np.concatenate([filters, extra], axis=1)
    pads = [0, 0] if explicit else list(layer.padding)
    product = opset1.binary_convolution(
        bits, _packed(signs), list(layer.stride), pads, pads, list(layer.dilation),
        "xnor-popcount", float(outside),
    )  # fmt: skip
    product.set_friendly_name(layer.name)
    scale = term.scale.astype(np.float64)
    weights = filters.astype(np.float64)
    out = ops.multiply(product, _per_channel(scale * step.half))
    constant = -outside * step.half * weights.sum(axis=(1, 2, 3))
    inside = step.half * outside + step.middle
    if missing % 2:
        constant = constant - outside * step.half * kh * kw
        if outside != -1:
            lone = np.ones((1, 1, kh, kw))
            count = _convolved_ones(source, layer, lone)
            out = ops.add(out, ops.multiply(count, _per_channel(
                scale * step.half * (1 + outside)
            )))  # fmt: skip
    if constant.any():
        out = ops.add(out, _per_channel(scale * constant))
    if inside:
        kernel = inside * scale[:, None, None, None] * weights.sum(1, keepdims=True)
        out = ops.add(out, _convolved_ones(source, layer, kernel))
    return out.output(0)


def _convolved_ones(source: Output, layer: BinaryLayer, kernel: np.ndarray) -> Output:
    """``kernel`` ``(O, 1, kh, kw)`` over an image of ones with zeros around it."""
    shape = ops.shape_of(source)
    size = ops.gather(shape, ops.constant(_integers([2, 3])), ops.constant(np.int64(0)))
    one = ops.constant(_integers([1, 1]))
    ones = ops.broadcast(ops.constant(np.float32(1)), ops.concat([one, size], 0))
    pads = list(layer.padding)
    return ops.convolution(
        ones, ops.constant(kernel.astype(np.float32)), list(layer.stride), pads, pads,
        list(layer.dilation),
    ).output(0)  # fmt: skip


def _integers(values: list[int]) -> np.ndarray:
    return np.array(values, np.int64)


def _per_channel(values: np.ndarray) -> Node:
    return ops.constant(values.astype(np.float32).reshape(1, -1, 1, 1))


def _packed(signs: np.ndarray) -> Node:
    # Memory of its own: a tensor around an array dies with the array, unnoticed.
    tensor = Tensor(Type.u1, Shape(list(signs.shape)))
    tensor.data[:] = pack_bits(signs)
    return Constant(tensor)
