r"""A binary convolution as products of signs that Larq Compute Engine has.

Its padding is zero, or its caller pads with a sign. With P and Q the sums of products
with -1 and +1 outside of the image, those with zeros there and those of the weights
inside are

.. math:: S = (P + Q) / 2, \qquad U = \Sigma W - (Q - P) / 2

so that levels ``low`` and ``high`` give, without a map that depends on the place,

.. math::
    h S + m U = \tfrac{high}{2} P - \tfrac{low}{2} Q + m \Sigma W

Levels of 0 and 1 need P alone. Signs (m = 0) need S alone, where the engine's zeros are
those of torch (:mod:`cmim.deploy.lce.padding`). Imports NumPy alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cmim.deploy.lce.padding import SamePlan, same_plan
from cmim.deploy.numpy_reference import convolve, unpack_signs

# The engine's words have this many bits.
WORD = 32


def pack_signs(weight: np.ndarray) -> bytes:
    """Filters ``(O, I, kh, kw)`` as :meth:`Product.packed` gives them."""
    bits = weight.transpose(0, 2, 3, 1) < 0
    missing = -bits.shape[-1] % WORD
    bits = np.pad(bits, ((0, 0), (0, 0), (0, 0), (0, missing)))
    return np.packbits(bits, axis=-1, bitorder="little").tobytes()


@dataclass(frozen=True)
class Product:
    """One convolution of signs with signs.

    Attributes:
        cut: float32 ``(I,)`` or ``(1,)``: an activation is +1 from it on.
        weight: float32 ``(O, I, kh, kw)`` of -1 and +1; ``(1, I, kh, kw)`` where one
            filter gives what all give.
        outside: What lies outside of the image: 0, -1 or +1.
        factor: float64 ``(O,)`` by which its sums count.
    """

    cut: np.ndarray
    weight: np.ndarray
    outside: int
    factor: np.ndarray

    def packed(self) -> bytes:
        """The filters as the engine stores them: bit 1 for -1, channels innermost.

        Examples:
            >>> weight = np.float32([1, -1, 1, -1]).reshape(1, 4, 1, 1)
            >>> Product(np.zeros(1), weight, 0, np.ones(1)).packed()
            b'\\n\\x00\\x00\\x00'
        """
        return pack_signs(self.weight)

    def integers(self, step: dict[str, Any], x: np.ndarray) -> np.ndarray:
        """Its sums in NumPy, for activations ``(N, I, H, W)`` (see ``convolve``)."""
        signs = np.where(x >= self.cut.reshape(-1, 1, 1), 1.0, -1.0).astype(np.float32)
        rows, columns = step["padding"]
        ends = ((0, 0), (0, 0), (rows, rows), (columns, columns))
        signs = np.pad(signs, ends, constant_values=self.outside)
        return convolve(signs, self.weight, {**step, "padding": [0, 0]})


def plans_of(step: dict[str, Any], size: Sequence[int]) -> list[SamePlan] | None:
    """Of rows and columns, where the engine's zeros give the step's; else None.

    It subtracts what its own padding with +1 has added, and is wrong where a kernel
    reaches over both ends of the image.

    Args:
        step: A ``binary_conv``.
        size: Rows and columns of its input.
    """
    plans = []
    for n, k, s, d, p in zip(
        size,
        step["kernel"],
        step["stride"],
        step["dilation"],
        step["padding"],
        strict=True,
    ):
        plan = same_plan(n, k, s, d, p, p)
        if plan is None or d * (k - 1) + 1 > n + plan.extra:
            return None
        plans.append(plan)
    return plans


def products_of(
    step: dict[str, Any], arrays: dict[str, np.ndarray], size: Sequence[int]
) -> tuple[list[Product], np.ndarray]:
    """What a ``binary_conv`` is the sum of.

    Args:
        step: Of a raw program.
        arrays: By role, see ``docs/raw_format.md``.
        size: Rows and columns of its input.

    Returns:
        Products whose sums, each times its ``factor``, add up to the step's output
        with a constant ``(O,)``, float64.
    """
    padded, has_zeros = any(step["padding"]), plans_of(step, size) is not None
    products: list[Product] = []
    constant = np.zeros(arrays["scales"].shape[1])
    stored = (b[:1] if (b == b[:1]).all() else b for b in arrays["bits"])
    weights = [unpack_signs(bits, step["in_channels"]) for bits in stored]
    for cut, (low, high) in zip(arrays["thresholds"], step["levels"], strict=True):
        if not padded or (low == -high and has_zeros):
            parts = [(0, (high - low) / 2)]
        else:
            parts = [(-1, high / 2), (1, -low / 2)]
        for weight, scale in zip(weights, arrays["scales"].astype(float), strict=True):
            products += [
                Product(cut, weight, outside, factor * scale)
                for outside, factor in parts
                if factor
            ]
            constant += (high + low) / 2 * scale * weight.sum((1, 2, 3), np.float64)
    return products, constant
