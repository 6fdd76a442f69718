"""Binary convolutions in TensorFlow, in the form that becomes ``LceBconv2d``.

The converter takes a convolution for binary where its input is a choice between +1 and
-1, its weights are of one magnitude a filter, and its padding is zero ("SAME") or none.
A factor and a sum with numbers a channel behind it become part of the operator.

The engine's fast kernel for ARM reads the sign bit, so that -0.0 would be -1.
Thresholds are subtracted, 0 as the smallest normal number below it: -0.0 never gets
there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cmim.deploy.lce.padding import SamePlan
from cmim.deploy.lce.products import Product, plans_of, products_of

SMALLEST = np.float32(np.finfo(np.float32).tiny)


def cut_of(threshold: np.ndarray) -> np.ndarray:
    """What is subtracted, so that the difference has the sign, and is never -0.0.

    Examples:
        >>> cut_of(np.float32([0.0, -0.0, 0.5])).tolist()
        [-1.1754943508222875e-38, -1.1754943508222875e-38, 0.5]
    """
    return np.where(threshold == 0, -SMALLEST, threshold).astype(np.float32)


def centred(tf: Any, x: Any) -> Any:
    """An activation without the mean of its image, which a constant one is exactly."""
    bounds = dict(axis=[1, 2, 3], keepdims=True)
    mean = tf.maximum(tf.reduce_mean(x, **bounds), tf.reduce_min(x, **bounds))
    return x - tf.minimum(mean, tf.reduce_max(x, **bounds))


def add_binary_conv(
    tf: Any, step: dict[str, Any], arrays: dict[str, np.ndarray], x: Any
) -> Any:
    """The step's output ``(N, H', W', O)`` for activations ``(N, H, W, I)``."""
    if step["centred"]:
        x = centred(tf, x)
    products, constant = products_of(step, arrays, x.shape[1:3])
    total = None
    for product in products:
        shift, constant = constant, np.zeros_like(constant)
        part = weighted(tf, step, product, x, product.factor, shift)
        total = part if total is None else total + part
    return total


def weighted(
    tf: Any,
    step: dict[str, Any],
    product: Product,
    x: Any,
    factor: np.ndarray,
    shift: np.ndarray,
) -> Any:
    """``factor`` times the sums of a product, plus ``shift``, a number a filter."""
    difference = x - cut_of(product.cut)
    padding = "VALID"
    plans: list[SamePlan] = []
    if any(step["padding"]) and product.outside:
        ends = [[0, 0], *([p, p] for p in step["padding"]), [0, 0]]
        difference = tf.pad(difference, ends, constant_values=float(product.outside))
    elif any(step["padding"]):
        padding, plans = "SAME", plans_of(step, x.shape[1:3]) or []
        if any(plan.extra for plan in plans):
            ends = [[0, 0], *([0, plan.extra] for plan in plans), [0, 0]]
            difference = tf.pad(difference, ends)
    signs = tf.where(difference >= 0, 1.0, -1.0)
    kernel = product.weight.transpose(2, 3, 1, 0)
    out = tf.nn.conv2d(
        signs, kernel, step["stride"], padding, dilations=step["dilation"]
    )
    out = _scaled(tf, out, factor.astype(np.float32), shift.astype(np.float32))
    for axis, plan in enumerate(plans):
        if not plan.is_plain:
            kept = slice(plan.first, plan.first + plan.count)
            out = out[:, kept] if axis == 0 else out[:, :, kept]
    return out


def _scaled(tf: Any, out: Any, factor: np.ndarray, shift: np.ndarray) -> Any:
    if out.shape[3] == len(factor):
        out = out if (factor == 1).all() else out * factor
    else:
        # A factor of more channels than the sums have must not become part of the
        # binary operator, which would take it: a convolution spreads the one channel.
        out = tf.nn.conv2d(out, factor.reshape(1, 1, 1, -1), 1, "VALID")
    return out if not shift.any() else out + shift
