"""ATen operators as steps of a raw program.

Handlers take an operator's arguments, with a :class:`Value` for what depends on the
image and a tensor for what does not, and give the value of its output.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cmim.deploy.binary_layer import BinaryLayer, ExportError
from cmim.deploy.raw_program import Step, binary_step


@dataclass(frozen=True)
class Value:
    """A value that a step makes: its name, and its shape without the images."""

    name: str
    shape: tuple[int, ...]


@dataclass
class Recorder:
    """Steps so far; of the operator at hand, who called it and the shape it gives."""

    layers: dict[str, BinaryLayer]
    steps: list[Step] = field(default_factory=list)
    shape: tuple[int, ...] = ()
    caller: str = ""

    def add(
        self,
        op: str,
        inputs: Sequence[Value],
        options: dict[str, Any] | None = None,
        **arrays: Tensor | np.ndarray,
    ) -> Value:
        """Note a step that gives the shape at hand."""
        value = Value(f"v{len(self.steps)}", self.shape)
        stored = {name: _float32(array) for name, array in arrays.items()}
        names = tuple(x.name for x in inputs)
        self.steps.append(
            Step(op, names, value.name, value.shape, options or {}, stored, self.caller)
        )
        return value

    def constant(self, like: Value, values: Tensor) -> Value:
        """A map that does not depend on the image, of as many axes as ``like``."""
        missing = len(like.shape) + 1 - values.dim()
        values = values.reshape(*[1] * missing, *values.shape)
        _refuse_unless(len(values) == 1, "constant that differs between images")
        kept, self.shape = self.shape, tuple(values.shape[1:])
        made = self.add("constant", [], value=values[0])
        self.shape = kept
        return made


def _float32(array: Tensor | np.ndarray) -> np.ndarray:
    if isinstance(array, Tensor):
        array = array.detach().cpu().numpy()
    return np.ascontiguousarray(array, dtype=np.float32)


def _pair(value: int | Sequence[int]) -> list[int]:
    numbers = [value] if isinstance(value, int) else [int(v) for v in value]
    return numbers * 2 if len(numbers) == 1 else numbers


def _refuse_unless(condition: bool, what: str) -> None:
    if not condition:
        raise ExportError(f"the raw format has no {what}")


def _binary(r: Recorder, x: Value, name: str, shape: Sequence[int]) -> Value:
    value = Value(f"v{len(r.steps)}", r.shape)
    r.steps.append(binary_step(r.layers[name], x.name, value.name, r.shape))
    return value


def _conv2d(r, x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    _refuse_unless(isinstance(weight, Tensor), "convolution with weights of the image")
    options = dict(
        stride=_pair(stride), padding=_pair(padding), dilation=_pair(dilation)
    )
    # Files without groups stay as they were.
    options |= dict(groups=groups) if groups > 1 else {}
    bias = weight.new_zeros(len(weight)) if bias is None else bias
    return r.add("conv", [x], options, weight=weight, bias=bias)


def _linear(r, x, weight, bias=None):
    _refuse_unless(len(x.shape) == 1, "linear layer on maps")
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
        _refuse_unless(alpha == 1, f"factor in front of a term (alpha={alpha})")
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


def _pool_options(x: Value, out: Sequence[int], kernel, stride, padding, dilation):
    """Padding at both ends, so that a rounded-up size needs no rule of its own."""
    kernel, begin, dilation = _pair(kernel), _pair(padding), _pair(dilation)
    stride = _pair(stride) if stride else kernel
    reach = [
        (size - 1) * s + d * (k - 1) + 1
        for size, s, d, k in zip(out[1:], stride, dilation, kernel, strict=True)
    ]
    end = [max(0, r - n - b) for r, n, b in zip(reach, x.shape[1:], begin, strict=True)]
    return dict(kernel=kernel, stride=stride, dilation=dilation, begin=begin, end=end)


def _max_pool(r, x, kernel, stride=(), padding=0, dilation=1, ceil_mode=False):
    options = _pool_options(x, r.shape, kernel, stride, padding, dilation)
    return r.add("max_pool", [x], options)


def _avg_pool(
    r, x, kernel, stride=(), padding=0, ceil_mode=False, count_include_pad=True,
    divisor_override=None,
):  # fmt: skip
    # ATen counts the padding by default, and never what a rounded-up size adds.
    counted = count_include_pad and any(_pair(padding))
    _refuse_unless(not counted and not divisor_override, "mean that counts padding")
    options = _pool_options(x, r.shape, kernel, stride, padding, 1)
    return r.add("avg_pool", [x], options)


def _adaptive_pool(r, x, size):
    _refuse_unless(_pair(size) == [1, 1], f"adaptive pooling to {_pair(size)} pixels")
    return r.add("mean", [x], dict(axes=[1, 2]))


def _axis(x: Value, axis: int) -> int:
    """An axis that does not count the images."""
    axis = axis % (len(x.shape) + 1)
    _refuse_unless(axis > 0, "operation over the images of a batch")
    return axis - 1


def _mean(r, x, axes, keepdim=False, dtype=None):
    _refuse_unless(dtype in (None, torch.float32), f"mean in {dtype}")
    return r.add("mean", [x], dict(axes=[_axis(x, axis) for axis in axes]))


def _cat(r, xs, axis=0):
    _refuse_unless(all(isinstance(x, Value) for x in xs), "constant in a concat")
    return r.add("concat", xs, dict(axis=_axis(xs[0], axis)))


def _slice(r, x, axis=0, start=None, end=None, step=1):
    if r.shape == x.shape:
        return x
    place = _axis(x, axis)
    first, last, step = slice(start, end, step).indices(x.shape[place])
    return r.add("slice", [x], dict(axis=place, start=first, stop=last, step=step))


def _split(r, x, size, axis=0):
    """Parts of one size along an axis, of which the last may be smaller."""
    at, parts = _axis(x, axis), []
    for low in range(0, x.shape[at], size):
        high = min(low + size, x.shape[at])
        r.shape = (*x.shape[:at], high - low, *x.shape[at + 1 :])
        parts.append(r.add("slice", [x], dict(axis=at, start=low, stop=high, step=1)))
    return parts


def _transpose(r, x, *axes):
    """Of a line: the same numbers in the same order."""
    first, last = sorted(_axis(x, axis) for axis in axes)
    long = [size for size in x.shape[first : last + 1] if size > 1]
    _refuse_unless(len(long) < 2, f"transposition of {' by '.join(map(str, long))}")
    return _reshape(r, x)


def _pad(r, x, widths, mode="constant", value=None):
    _refuse_unless(mode == "constant", f"padding of mode {mode!r}")
    # ATen counts from the last axis on.
    pairs = [list(widths[k : k + 2]) for k in range(0, len(widths), 2)][::-1]
    pairs = [[0, 0]] * (len(x.shape) - len(pairs)) + pairs
    _refuse_unless(len(pairs) == len(x.shape), "padding of the images of a batch")
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
    "aten.hardtanh": lambda r, x, low=-1, high=1: _clip(r, x, low, high),
    "aten.max_pool2d": _max_pool,
    "aten.avg_pool2d": _avg_pool,
    "aten.adaptive_avg_pool2d": _adaptive_pool,
    "aten.mean": _mean,
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
