"""Means that leave exactly nothing of a constant, and signs relative to them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from cmim.functional.sign import sign


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


class _CentredSign(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx, x: Tensor, slope: Callable[[Tensor], Tensor], eps: float
    ) -> Tensor:
        mean = bounded_mean(x)
        ctx.save_for_backward(x, mean)
        ctx.slope, ctx.eps = slope, eps
        # Division by a positive number leaves the sign as it is.
        return sign(x - mean)

    @staticmethod
    def backward(ctx, grad: Tensor):
        x, mean = ctx.saved_tensors
        dims = tuple(range(1, x.dim()))
        centred = x - mean
        variance = variance_of_centred(centred, dims) + ctx.eps
        inverse = torch.where(variance > 0, variance.rsqrt(), 0)
        grad = grad * ctx.slope(centred * inverse)
        # Mean and standard deviation depend on every element of the sample.
        total = (grad * centred).sum(dims, keepdim=True)
        pull = total * inverse.square() / (x[0].numel() - 1)
        grad = (grad - grad.mean(dims, keepdim=True) - pull * centred) * inverse
        return grad, None, None


def centred_sign(
    x: Tensor, slope: Callable[[Tensor], Tensor], eps: float = 0.0
) -> Tensor:
    r"""Sign of each standardised sample, with a surrogate's gradient.

    .. math::
        b = \mathrm{sign}(\hat x), \quad \hat x = \frac{x - \mathrm{mean}(x)}{s}, \quad
        s = \sqrt{\mathrm{var}(x) + \epsilon}, \quad
        \frac{\partial b}{\partial \hat x} := f(\hat x)

    with the unbiased variance over all but the first dimension. The gradient flows
    through mean and standard deviation too; a constant sample has none without eps.
    Only x itself and its means are kept for the backward pass.

    Args:
        x: ``(N, *)`` with at least two elements a sample.
        slope: f, of the standardised values; may use their memory.
        eps: Added to the variance.

    Examples:
        >>> x = torch.tensor([[1.0, 2.0, 3.0]], requires_grad=True)
        >>> y = centred_sign(x, torch.ones_like)
        >>> y[0, 1].backward()
        >>> y.tolist(), [round(3 * g, 4) for g in x.grad.flatten().tolist()]
        ([[-1.0, 1.0, 1.0]], [-1.0, 2.0, -1.0])
    """
    return _CentredSign.apply(x, slope, eps)
