r"""Ternary weights as a sum of two signs (TWN)."""

from __future__ import annotations

import torch
from torch import Tensor

from cmim.functional.sign import sign


def ternary_threshold(weight: Tensor, factor: float, per_filter: bool) -> Tensor:
    r"""Below which magnitude a weight becomes 0.

    .. math:: \Delta = f \cdot \mathrm{mean} |w|

    Args:
        weight: ``(O, ...)``.
        factor: f > 0.
        per_filter: The mean of each filter instead of that of the layer.

    Returns:
        ``(O, 1, ...)``, or ones in every dimension for the layer.

    References:
        Li, Liu, Ternary Weight Networks, 2016. https://arxiv.org/abs/1605.04711

    Examples:
        >>> ternary_threshold(torch.tensor([[1.0, -3.0]]), 0.5, True).tolist()
        [[1.0]]
    """
    dims = tuple(range(1 if per_filter else 0, weight.dim()))
    return factor * weight.abs().mean(dims, keepdim=True)


def ternary_terms(
    weight: Tensor, factor: float, per_filter: bool
) -> list[tuple[Tensor, Tensor]]:
    r"""Two terms ``(scale, codes)`` whose sum is ``alpha`` times -1, 0 or +1.

    .. math::
        \tfrac\alpha2 (B_1 + B_2), \qquad B_1 = 2 \cdot \mathbf 1\{w > \Delta\} - 1,
        \quad B_2 = \mathrm{sign}(w + \Delta), \qquad
        \alpha = \mathrm{mean}_{|w| > \Delta} |w|

    A weight at a threshold of either sign becomes 0, as do all weights of a filter of
    zeros. Two equal halves add up exactly: 0 is no rounded number.

    Args:
        weight: ``(O, ...)``.
        factor: f > 0 of :func:`ternary_threshold`.
        per_filter: Threshold and scale of each filter instead of those of the layer.

    Returns:
        Scales ``(O, 1, ...)`` and codes in {-1, +1} like ``weight``; no gradient.

    References:
        Li, Liu, Ternary Weight Networks, 2016. https://arxiv.org/abs/1605.04711

    Examples:
        >>> terms = ternary_terms(torch.tensor([[0.5, -2.0, 4.0, 1.5]]), 0.75, True)
        >>> [(scale.item(), codes.tolist()) for scale, codes in terms]
        [(1.5, [[-1.0, -1.0, 1.0, -1.0]]), (1.5, [[1.0, -1.0, 1.0, 1.0]])]
    """
    weight = weight.detach()
    threshold = ternary_threshold(weight, factor, per_filter)
    above, below = sign(threshold - weight).neg(), sign(weight + threshold)
    outside = (weight.abs() > threshold).to(weight.dtype)
    dims = tuple(range(1 if per_filter else 0, weight.dim()))
    # In half precision a count above 256 would be rounded.
    wide = torch.promote_types(weight.dtype, torch.float32)
    count = outside.sum(dims, keepdim=True, dtype=wide).clamp(min=1)
    total = (weight.abs() * outside).sum(dims, keepdim=True, dtype=wide)
    half = (total / count / 2).to(weight.dtype)
    half = half.expand(len(weight), *[1] * (weight.dim() - 1))
    return [(half, above), (half, below)]


class _Ternarize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, weight: Tensor, factor: float, per_filter: bool) -> Tensor:
        (scale, above), (_, below) = ternary_terms(weight, factor, per_filter)
        return scale * above + scale * below

    @staticmethod
    def backward(ctx, grad: Tensor):
        return grad, None, None


def ternarize(weight: Tensor, factor: float, per_filter: bool) -> Tensor:
    r"""``alpha`` times -1, 0 or +1, with the gradient passed to the weights unchanged.

    .. math:: \frac{\partial \hat w}{\partial w} := 1

    Args:
        weight: ``(O, ...)``.
        factor: f > 0 of :func:`ternary_threshold`.
        per_filter: Threshold and scale of each filter instead of those of the layer.

    References:
        Li, Liu, Ternary Weight Networks, 2016. https://arxiv.org/abs/1605.04711

    Examples:
        >>> w = torch.tensor([[0.5, -2.0, 4.0, 1.5]], requires_grad=True)
        >>> y = ternarize(w, 0.75, True); y.sum().backward()
        >>> y.tolist(), w.grad.tolist()
        ([[0.0, -3.0, 3.0, 0.0]], [[1.0, 1.0, 1.0, 1.0]])
    """
    return _Ternarize.apply(weight, factor, per_filter)
