r"""As many +1 as -1 in each filter."""

from __future__ import annotations

import torch
from torch import Tensor


class _EqualBits(torch.autograd.Function):
    @staticmethod
    def forward(ctx, weight: Tensor) -> Tensor:
        return equal_bits(weight.detach())

    @staticmethod
    def backward(ctx, grad: Tensor):
        return grad


def equal_bits(weight: Tensor) -> Tensor:
    r"""-1 for the smaller half of each filter's n weights, +1 for the others.

    .. math::
        b_i = \begin{cases} -1 & \mathrm{rank}(w_i) < \lfloor n / 2 \rfloor \\ +1 &
        \text{else} \end{cases}, \qquad
        \frac{\partial b_i}{\partial w_i} := 1

    with ranks from 0. It is the optimal transport of a filter's values to a fair coin's
    two. Equal weights are ranked in their order, so that a filter of zeros is half and
    half as well. NaN stays NaN.

    Args:
        weight: ``(O, ...)`` latent weights.

    References:
        Li et al., Equal Bits: Enforcing Equally Distributed Binary Network Weights,
        AAAI 2022. https://arxiv.org/abs/2112.03406

    Examples:
        >>> w = torch.tensor([[3.0, 1.0, 2.0], [0.0, 0.0, -5.0]], requires_grad=True)
        >>> y = equal_bits(w); y.sum().backward()
        >>> y.tolist(), w.grad.unique().tolist()
        ([[1.0, -1.0, 1.0], [1.0, 1.0, -1.0]], [1.0])
    """
    if weight.requires_grad and torch.is_grad_enabled():
        return _EqualBits.apply(weight)
    flat = weight.flatten(1)
    order = flat.argsort(dim=1, stable=True)
    smaller = order[:, : flat.shape[1] // 2]
    codes = torch.ones_like(flat).scatter_(1, smaller, -1.0)
    # A diverged network shall show in its loss.
    return torch.where(flat.isnan(), flat, codes).view_as(weight)
