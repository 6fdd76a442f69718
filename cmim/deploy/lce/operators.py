"""Steps of a raw program as TensorFlow's operators, channels last.

Runs in the engine's Python; TensorFlow is handed in, so that this file imports without
it. Binary convolutions: :mod:`cmim.deploy.lce.binary_conv`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from cmim.deploy.lce.layout import last_shape, per_channel, place_of
from cmim.deploy.lce.padding import needed_end, same_plan

LOWEST = float(np.finfo(np.float32).min)
Step = dict[str, Any]
Arrays = dict[str, np.ndarray]


class TranslationError(ValueError):
    """A step that the engine has no operator for; the message names its layer."""


class Operators:
    """A method for each operation of the raw format, by its name.

    Methods take a step, its arrays by role, the shapes of its inputs without the
    images, channels first, and the inputs, channels last; they give its output.

    Args:
        tf: The module ``tensorflow``.
        batch: Images at a time.
    """

    def __init__(self, tf: Any, batch: int) -> None:
        self.tf, self.batch = tf, batch

    def __call__(
        self, step: Step, arrays: Arrays, shapes: Sequence[Sequence[int]], inputs: list
    ) -> Any:
        """The output of a step.

        Raises:
            TranslationError: There is no operator for it.
        """
        found = getattr(self, f"on_{step['op']}", None)
        if found is None:
            raise TranslationError(
                f"{step['name'] or step['output']}: Larq Compute Engine has no form of "
                f"the raw format's {step['op']}: export to .xml or .onnx"
            )
        return found(step, arrays, shapes, *inputs)

    def on_conv(self, step: Step, arrays: Arrays, shapes: Any, x: Any) -> Any:
        weight, groups = arrays["weight"], step.get("groups", 1)
        outputs, each = weight.shape[:2]
        padding, x = self._padded(step, x, weight.shape[2:], step["padding"])
        strides, dilations = step["stride"], step["dilation"]
        filters = weight.transpose(2, 3, 1, 0)
        plain = strides[0] == strides[1] and (max(strides) == 1 or max(dilations) == 1)
        if groups > 1 and each == 1 and plain:
            kernel = weight.reshape(groups, outputs // groups, *weight.shape[2:])
            out = self.tf.nn.depthwise_conv2d(
                x, kernel.transpose(2, 3, 0, 1), [1, *strides, 1], padding,
                dilations=dilations,
            )  # fmt: skip
        else:
            parts = self.tf.split(x, groups, axis=3) if groups > 1 else [x]
            kernels = np.split(filters, groups, axis=3)
            found = [
                self.tf.nn.conv2d(part, kernel, strides, padding, dilations=dilations)
                for part, kernel in zip(parts, kernels, strict=True)
            ]
            out = self.tf.concat(found, axis=3) if groups > 1 else found[0]
        return out + arrays["bias"]

    def _padded(
        self, step: Step, x: Any, kernel: Sequence[int], begin: Sequence[int],
        end: Sequence[int] | None = None, value: float = 0.0,
    ) -> tuple[str, Any]:  # fmt: skip
        """Padding by the operator where that is the same, else in front of it."""
        dilation = step.get("dilation", [1, 1])
        given = [
            *zip(
                x.shape[1:3], kernel, step["stride"], dilation, begin, end or begin,
                strict=True,
            )
        ]  # fmt: skip
        ends = [[axis[4], needed_end(*axis)] for axis in given]
        if not any(map(any, ends)):
            return "VALID", x
        plans = [same_plan(*axis) for axis in given]
        if all(plan is not None and plan.is_plain for plan in plans):
            return "SAME", x
        ends = [[0, 0], *ends, [0, 0]]
        return "VALID", self.tf.pad(x, ends, constant_values=value)

    def on_linear(self, step: Step, arrays: Arrays, shapes: Any, x: Any) -> Any:
        return self.tf.linalg.matmul(x, arrays["weight"].T) + arrays["bias"]

    def on_affine(self, step: Step, arrays: Arrays, shapes: Any, x: Any) -> Any:
        scale, shift = (
            per_channel(arrays[name], step["shape"]) for name in ("scale", "shift")
        )
        x = x if (scale == 1).all() else x * scale
        return x if not shift.any() else x + shift

    def apart(self, x: Any) -> Any:
        """The same values, which the converter does not join with what follows.

        It would make a map of constants part of a binary convolution, which has numbers
        a channel only.
        """
        return self.tf.maximum(x, LOWEST)

    def on_constant(self, step: Step, arrays: Arrays, shapes: Any) -> Any:
        value = arrays["value"][None]
        value = value.transpose(0, 2, 3, 1) if value.ndim == 4 else value
        return self.tf.constant(value)

    def _two(self, step: Step, shapes: Sequence[Sequence[int]]) -> None:
        if len(shapes[0]) != len(shapes[1]):
            raise TranslationError(
                f"{step['name'] or step['output']}: {step['op']} of values with "
                f"{len(shapes[0])} and {len(shapes[1])} axes has no form of Larq "
                "Compute Engine: export to .xml or .onnx"
            )

    def on_add(self, step: Step, arrays: Arrays, shapes: Any, x: Any, y: Any) -> Any:
        self._two(step, shapes)
        return x + y

    def on_subtract(
        self, step: Step, arrays: Arrays, shapes: Any, x: Any, y: Any
    ) -> Any:
        self._two(step, shapes)
        return x - y

    def on_multiply(
        self, step: Step, arrays: Arrays, shapes: Any, x: Any, y: Any
    ) -> Any:
        self._two(step, shapes)
        return x * y

    def on_divide(self, step: Step, arrays: Arrays, shapes: Any, x: Any, y: Any) -> Any:
        self._two(step, shapes)
        return x / y

    def on_relu(self, step: Step, arrays: Arrays, shapes: Any, x: Any) -> Any:
        return self.tf.nn.relu(x)

    def on_prelu(self, step: Step, arrays: Arrays, shapes: Any, x: Any) -> Any:
        # The converter knows this form of PReLU.
        slope = per_channel(arrays["slope"], step["shape"])
        return self.tf.nn.relu(x) - slope * self.tf.nn.relu(-x)

    def on_clip(self, step: Step, arrays: Arrays, shapes: Any, x: Any) -> Any:
        if (step["low"], step["high"]) == (0, 6):
            return self.tf.nn.relu6(x)
        x = x if step["low"] is None else self.tf.maximum(x, step["low"])
        return x if step["high"] is None else self.tf.minimum(x, step["high"])

    def on_exp(self, step: Step, arrays: Arrays, shapes: Any, x: Any) -> Any:
        return self.tf.exp(x)

    def on_absolute(self, step: Step, arrays: Arrays, shapes: Any, x: Any) -> Any:
        return self.tf.abs(x)

    def on_max_pool(self, step: Step, arrays: Arrays, shapes: Any, x: Any) -> Any:
        self._without_dilation(step)
        padding, x = self._padded(
            step, x, step["kernel"], step["begin"], step["end"], LOWEST
        )
        return self.tf.nn.max_pool2d(x, step["kernel"], step["stride"], padding)

    def on_avg_pool(self, step: Step, arrays: Arrays, shapes: Any, x: Any) -> Any:
        self._without_dilation(step)
        size = x.shape[1:3]
        padding, x = self._padded(step, x, step["kernel"], step["begin"], step["end"])
        out = self.tf.nn.avg_pool2d(x, step["kernel"], step["stride"], padding)
        if list(x.shape[1:3]) == list(size):
            return out  # pixels outside, which the operator adds, are not counted
        inside = [
            _pixels_inside(*given)
            for given in zip(
                size, step["kernel"], step["stride"], step["begin"], out.shape[1:3],
                strict=True,
            )
        ]  # fmt: skip
        counted = np.outer(*inside)[None, :, :, None]
        return out * (math.prod(step["kernel"]) / counted).astype(np.float32)

    def _without_dilation(self, step: Step) -> None:
        if max(step["dilation"]) > 1:
            raise TranslationError(
                f"{step['name'] or step['output']}: Larq Compute Engine has no "
                f"{step['op']} with dilation: export to .xml or .onnx"
            )

    def on_mean(self, step: Step, arrays: Arrays, shapes: Any, x: Any) -> Any:
        return self._reduced(self.tf.reduce_mean, step, shapes, x)

    def on_norm(self, step: Step, arrays: Arrays, shapes: Any, x: Any) -> Any:
        squares = self._reduced(self.tf.reduce_sum, step, shapes, x * x)
        return self.tf.sqrt(squares)

    def _reduced(self, function: Any, step: Step, shapes: Any, x: Any) -> Any:
        rank = len(shapes[0])
        axes = [place_of(axis, rank) for axis in step["axes"]]
        found = function(x, axis=axes, keepdims=True)
        kept = [1 if k in step["axes"] else n for k, n in enumerate(shapes[0])]
        return self._reshaped(found, kept, step["shape"])

    def on_resize(self, step: Step, arrays: Arrays, shapes: Any, x: Any) -> Any:
        # Becomes RESIZE_BILINEAR with half_pixel_centers and without align_corners.
        return self.tf.image.resize(x, step["shape"][1:], "bilinear")

    def on_concat(self, step: Step, arrays: Arrays, shapes: Any, *xs: Any) -> Any:
        return self.tf.concat(xs, axis=place_of(step["axis"], len(step["shape"])))

    def on_slice(self, step: Step, arrays: Arrays, shapes: Any, x: Any) -> Any:
        at = [slice(None)] * len(x.shape)
        place = place_of(step["axis"], len(step["shape"]))
        at[place] = slice(step["start"], step["stop"], step["step"])
        return x[tuple(at)]

    def on_pad(self, step: Step, arrays: Arrays, shapes: Any, x: Any) -> Any:
        ends = [[0, 0] for _ in x.shape]
        for axis, width in enumerate(step["widths"]):
            ends[place_of(axis, len(step["shape"]))] = width
        # One more, which is cut off: the converter would join padding of its own
        # choice with a convolution behind it, see ``needed_end``.
        ends = [[first, last + 1] for first, last in ends]
        found = self.tf.pad(x, ends, constant_values=step["value"])
        return found[tuple(slice(0, -1) for _ in ends)]

    def on_reshape(self, step: Step, arrays: Arrays, shapes: Any, x: Any) -> Any:
        return self._reshaped(x, shapes[0], step["shape"])

    def _reshaped(self, x: Any, old: Sequence[int], new: Sequence[int]) -> Any:
        """The same numbers, row-major channels first, in another shape."""
        if len(old) == 3 and math.prod(old) != old[0]:
            x = self.tf.transpose(x, [0, 3, 1, 2])
        if len(new) != 3 or math.prod(new) == new[0]:
            return self.tf.reshape(x, [self.batch, *last_shape(new)])
        found = self.tf.reshape(x, [self.batch, *new])
        return self.tf.transpose(found, [0, 2, 3, 1])

    def on_broadcast(self, step: Step, arrays: Arrays, shapes: Any, x: Any) -> Any:
        self._two(step, [shapes[0], step["shape"]])
        return self.tf.broadcast_to(x, [self.batch, *last_shape(step["shape"])])


def _pixels_inside(size: int, kernel: int, stride: int, begin: int, count: int) -> Any:
    """How many taps of each window lie inside, along one axis."""
    first = np.arange(count) * stride - begin
    return np.minimum(first + kernel, size) - np.maximum(first, 0)
