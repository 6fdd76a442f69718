"""ATen operators as steps of a raw program.

Handlers take an operator's arguments, with a :class:`Value` for what depends on the
image and a tensor for what does not, and give the value of its output.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cmim.deploy.raw_program import binary_step
from cmim.deploy.raw_recorder import Recorder, Value, axis_of, pair_of, refuse_unless
from cmim.deploy.raw_resampling import adaptive_pool, avg_pool, max_pool, resize


def _binary(r: Recorder, x: Value, name: str, shape: Sequence[int]) -> Value:
    value = Value(f"v{len(r.steps)}", r.shape)
    r.steps.append(binary_step(r.layers[name], x.name, value.name, r.shape))
    return value


def _conv2d(r, x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    refuse_unless(isinstance(weight, Tensor), "convolution with weights of the image")
    options = dict(
        stride=pair_of(stride), padding=pair_of(padding), dilation=pair_of(dilation)
    )
    # Files without groups stay as they were.
    options |= dict(groups=groups) if groups > 1 else {}
    bias = weight.new_zeros(len(weight)) if bias is None else bias
    return r.add("conv", [x], options, weight=weight, bias=bias)


def _linear(r, x, weight, bias=None):
    refuse_unless(len(x.shape) == 1, "linear layer on maps")
    bias = weight.new_zeros(len(weight)) if bias is None else bias
    return r.add("linear", [x], weight=weight, bias=bias)


def _batch_norm(r, x, weight, bias, mean, variance, momentum, eps):
    scale = 1 / (variance.double() + eps).sqrt()
    scale = scale if weight is None else scale * weight.double()
    shift = -mean.double() * scale
    shift = shift if bias is None else shift + bias.double()
    return r.add("affine", [x], scale=scale, shift=shift)


def _channelwise(x: Value, other: Tensor) -> np.ndarray | None:
    """One number, or one a channel, as a vector; None for a map."""
    full = (1, *x.shape)
    shape = (*[1] * (len(full) - other.dim()), *other.shape)
    places = math.prod(shape) // shape[1] if other.numel() else 0
    if places != 1 or shape[1] not in (1, full[1]):
        return None
    return other.double().flatten().cpu().numpy()


def _affine(r: Recorder, x: Value, scale: Any, shift: Any) -> Value:
    scale, shift = np.broadcast_arrays(np.atleast_1d(scale), np.atleast_1d(shift))
    return r.add("affine", [x], scale=scale, shift=shift)


def _arithmetic(op: str) -> Callable[..., Value]:
    """A sum, difference, product or quotient of which one side may be constant."""

    def handle(r: Recorder, x: Any, y: Any, alpha: float = 1) -> Value:
        refuse_unless(alpha == 1, f"factor in front of a term (alpha={alpha})")
        if isinstance(x, Value) and isinstance(y, Value):
            return r.add(op, [x, y])
        value, other = (x, y) if isinstance(x, Value) else (y, x)
        other = torch.as_tensor(other)
        numbers = _channelwise(value, other)
        first = value is x
        if numbers is None or (op == "divide" and not first):
            made = r.constant(value, other)
            return r.add(op, [value, made] if first else [made, value])
        if op == "add":
            return _affine(r, value, 1.0, numbers) if numbers.any() else value
        if op == "subtract":
            return _affine(r, value, *((1.0, -numbers) if first else (-1.0, numbers)))
        return _affine(r, value, numbers if op == "multiply" else 1 / numbers, 0.0)

    return handle


def _prelu(r, x, weight):
    return r.add("prelu", [x], slope=weight)


def _clip(r, x, low=None, high=None):
    return r.add("clip", [x], dict(low=low, high=high))


def _sigmoid(r, x):
    """``1 / (1 + e^-x)``, with x bounded where ``e^-x`` would overflow."""
    power = r.add("exp", [_affine(r, _clip(r, x, low=-80.0), -1.0, 0.0)])
    return _arithmetic("divide")(r, 1.0, _affine(r, power, 1.0, 1.0))


def _mean(r, x, axes, keepdim=False, dtype=None):
    refuse_unless(dtype in (None, torch.float32), f"mean in {dtype}")
    return r.add("mean", [x], dict(axes=[axis_of(x, axis) for axis in axes]))


def _norm(r, x, order=2, axes=None, keepdim=False, dtype=None):
    """The Euclidean length, by which ``normalize`` divides."""
    refuse_unless(order == 2, f"length of order {order:g}")
    refuse_unless(dtype in (None, torch.float32), f"length in {dtype}")
    return r.add("norm", [x], dict(axes=[axis_of(x, axis) for axis in axes]))


def _cat(r, xs, axis=0):
    refuse_unless(all(isinstance(x, Value) for x in xs), "constant in a concat")
    return r.add("concat", xs, dict(axis=axis_of(xs[0], axis)))


def _slice(r, x, axis=0, start=None, end=None, step=1):
    if r.shape == x.shape:
        return x
    place = axis_of(x, axis)
    first, last, step = slice(start, end, step).indices(x.shape[place])
    return r.add("slice", [x], dict(axis=place, start=first, stop=last, step=step))


def _split(r, x, size, axis=0):
    """Parts of one size along an axis, of which the last may be smaller."""
    at, parts = axis_of(x, axis), []
    for low in range(0, x.shape[at], size):
        high = min(low + size, x.shape[at])
        r.shape = (*x.shape[:at], high - low, *x.shape[at + 1 :])
        parts.append(r.add("slice", [x], dict(axis=at, start=low, stop=high, step=1)))
    return parts


def _transpose(r, x, *axes):
    """Of a line: the same numbers in the same order."""
    first, last = sorted(axis_of(x, axis) for axis in axes)
    long = [size for size in x.shape[first : last + 1] if size > 1]
    refuse_unless(len(long) < 2, f"transposition of {' by '.join(map(str, long))}")
    return _reshape(r, x)


def _pad(r, x, widths, mode="constant", value=None):
    refuse_unless(mode == "constant", f"padding of mode {mode!r}")
    # ATen counts from the last axis on.
    pairs = [list(widths[k : k + 2]) for k in range(0, len(widths), 2)][::-1]
    pairs = [[0, 0]] * (len(x.shape) - len(pairs)) + pairs
    refuse_unless(len(pairs) == len(x.shape), "padding of the images of a batch")
    return r.add("pad", [x], dict(widths=pairs, value=float(value or 0)))


def _plain(op: str) -> Callable[..., Value]:
    """Operators of one input whose other arguments the output's shape says."""
    return lambda r, x, *_, **__: r.add(op, [x])


def _reshape(r, x, *_, **__):
    return x if r.shape == x.shape else r.add("reshape", [x])


def _same(r, x, *_, **__):
    return x


HANDLERS: dict[str, Callable[..., Value]] = {
    "cmim.packed_layer": _binary,
    "aten.conv2d": _conv2d,
    "aten.linear": _linear,
    "aten._native_batch_norm_legit_no_training": _batch_norm,
    "aten.add": _arithmetic("add"),
    "aten.sub": _arithmetic("subtract"),
    "aten.rsub": lambda r, x, y, alpha=1: _arithmetic("subtract")(r, y, x, alpha),
    "aten.mul": _arithmetic("multiply"),
    "aten.div": _arithmetic("divide"),
    "aten.reciprocal": lambda r, x: _arithmetic("divide")(r, 1.0, x),
    "aten.relu": _plain("relu"),
    "aten.exp": _plain("exp"),
    "aten.sigmoid": _sigmoid,
    "aten.abs": _plain("absolute"),
    "aten.prelu": _prelu,
    "aten.clamp": _clip,
    "aten.clamp_min": _clip,
    "aten.hardtanh": lambda r, x, low=-1, high=1: _clip(r, x, low, high),
    "aten.max_pool2d": max_pool,
    "aten.avg_pool2d": avg_pool,
    "aten.adaptive_avg_pool2d": adaptive_pool,
    "aten.upsample_bilinear2d": resize,
    "aten.mean": _mean,
    "aten.linalg_vector_norm": _norm,
    "aten.cat": _cat,
    "aten.slice": _slice,
    "aten.split": _split,
    "aten.transpose": _transpose,
    "aten.pad": _pad,
    "aten.constant_pad_nd": lambda r, x, n, value=0: _pad(r, x, n, value=value),
    "aten.expand": _plain("broadcast"),
    **dict.fromkeys(
        ("aten.view", "aten.reshape", "aten.flatten", "aten.unflatten",
         "aten.squeeze", "aten.unsqueeze"), _reshape
    ),
    **dict.fromkeys(
        ("aten.detach", "aten.alias", "aten.clone", "aten.contiguous", "aten.dropout"),
        _same,
    ),
}  # fmt: skip
