"""Means that leave exactly nothing of a constant."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def bounded_mean(x: Tensor, dims: Sequence[int] | None = None) -> Tensor:
    r"""Mean over dimensions, never outside of what the values span.

    A sum rounds, so that the mean of many equal numbers is beside them: ``x - mean``
    is then no zero, and its sign comes from rounding. Bounded by the least and the
    largest value, the mean of a constant is that constant; any other mean lies within
    already and keeps its bits. The gradient is that of the plain mean.

    Args:
        x: Floating tensor.
        dims: Dimensions to average over; all but the first when None.

    Returns:
        The mean, with the averaged dimensions kept as ones. NaN if a value is NaN.

    Examples:
        >>> constant = torch.full((1, 9), -0.99)
        >>> (constant - bounded_mean(constant)).unique().tolist()
        [0.0]
        >>> bounded_mean(torch.tensor([[1.0, 2.0, 6.0]])).tolist()
        [[3.0]]
    """
    dims = tuple(range(1, x.dim())) if dims is None else tuple(dims)
    if not dims or not x.numel():
        return x.mean(dims, keepdim=True) if dims else x
    mean = x.mean(dims, keepdim=True)
    with torch.no_grad():
        bounded = mean.clamp(x.amin(dims, keepdim=True), x.amax(dims, keepdim=True))
    # The difference is 0 but for constants: the gradient is the mean's.
    return mean + (bounded - mean).detach() if mean.requires_grad else bounded


def variance_of_centred(centred: Tensor, dims: Sequence[int]) -> Tensor:
    r"""Unbiased variance of values without their mean, differentiable.

    .. math:: \frac{1}{n - 1} \sum_i c_i^2

    Where :func:`bounded_mean` was taken off a constant it is exactly 0. Much cheaper on
    a CPU than ``torch.var``, which finds mean and variance number by number.

    Args:
        centred: Floating tensor whose mean over ``dims`` is 0.
        dims: Dimensions of the n values.

    Returns:
        The variance, with those dimensions kept as ones; summed in float32 at least.

    Examples:
        >>> variance_of_centred(torch.tensor([[-1.0, 0.0, 1.0]]), (1,)).tolist()
        [[1.0]]
    """
    # In half precision each square would be rounded, and overflow early.
    wide = torch.promote_types(centred.dtype, torch.float32)
    count = math.prod(centred.shape[dim] for dim in dims)
    total = centred.to(wide).square().sum(tuple(dims), keepdim=True)
    return (total / (count - 1)).to(centred.dtype)
