r"""Scaling factors of binary weights and the gradient of ``scale * sign(w)``."""

from __future__ import annotations

import torch
from torch import Tensor

from cmim.functional.sign import sign


def mean_abs_per_filter(weight: Tensor) -> Tensor:
    r"""Mean of ``|w|`` over each output filter.

    Args:
        weight: ``(O, ...)`` latent weights.

    Returns:
        ``(O, 1, ...)``, broadcastable against ``weight``.

    References:
        Rastegari et al., XNOR-Net, ECCV 2016, Eq. 6. https://arxiv.org/abs/1603.05279

    Examples:
        >>> mean_abs_per_filter(torch.tensor([[1.0, -3.0], [0.0, 0.5]])).tolist()
        [[2.0], [0.25]]
    """
    return weight.abs().mean(dim=tuple(range(1, weight.dim())), keepdim=True)


class _ScaledSign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, weight: Tensor, scale: Tensor, magnitude_aware: bool) -> Tensor:
        inside = weight.abs() <= 1
        ctx.magnitude_aware = magnitude_aware
        ctx.save_for_backward(inside, scale if magnitude_aware else None)
        return sign(weight) * scale

    @staticmethod
    def backward(ctx, grad: Tensor):
        inside, scale = ctx.saved_tensors
        grad = grad * inside
        return (grad * scale if ctx.magnitude_aware else grad), None, None


def scaled_sign(weight: Tensor, scale: Tensor, magnitude_aware: bool = False) -> Tensor:
    r"""``scale * sign(w)`` with a clipped straight-through gradient for w only.

    .. math::
        \frac{\partial \hat w}{\partial w} := \alpha^m \mathbf{1}\{|w| \le 1\},
        \qquad m = 1 \text{ if magnitude-aware else } 0

    The scale is a constant of the step: no gradient flows through it.

    Args:
        weight: ``(O, ...)`` latent weights.
        scale: Broadcastable to ``weight``, for example ``(O, 1, 1, 1)``.
        magnitude_aware: Multiply the gradient by the scale (the paper of Bi-Real
            Net) or not (most PyTorch code).

    Examples:
        >>> w = torch.tensor([[0.5, -1.5]], requires_grad=True)
        >>> y = scaled_sign(w, torch.tensor([[1.0]])); y.sum().backward()
        >>> y.tolist(), w.grad.tolist()
        ([[1.0, -1.0]], [[1.0, 0.0]])
    """
    return _ScaledSign.apply(weight, scale.detach(), magnitude_aware)


def mean_abs_per_layer(weight: Tensor) -> Tensor:
    r"""Mean of ``|w|`` over the whole layer, repeated for each filter.

    Args:
        weight: ``(O, ...)`` latent weights.

    Returns:
        ``(O, 1, ...)``, broadcastable against ``weight``.

    References:
        Zhou et al., DoReFa-Net, 2016. https://arxiv.org/abs/1606.06160

    Examples:
        >>> mean_abs_per_layer(torch.tensor([[1.0, -3.0], [0.0, 0.0]])).tolist()
        [[1.0], [1.0]]
    """
    shape = (weight.shape[0], *[1] * (weight.dim() - 1))
    return weight.abs().mean().expand(shape)


class _ProductSign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, weight: Tensor, scale: Tensor) -> Tensor:
        ctx.save_for_backward(weight.abs() <= 1, scale)
        ctx.count = weight[0].numel()
        return sign(weight) * scale

    @staticmethod
    def backward(ctx, grad: Tensor):
        inside, scale = ctx.saved_tensors
        return grad * (inside * scale + 1 / ctx.count), None


def product_sign(weight: Tensor, scale: Tensor) -> Tensor:
    r"""``scale * sign(w)`` with the gradient that XNOR-Net's paper states.

    .. math::
        \frac{\partial \hat w}{\partial w} :=
        \frac{1}{n} + \alpha \mathbf{1}\{|w| \le 1\}

    with n weights a filter: a product rule that leaves out how ``mean|w|`` depends on
    the other weights of the filter.

    Args:
        weight: ``(O, ...)`` latent weights.
        scale: ``(O, 1, ...)``, for example :func:`mean_abs_per_filter`.

    References:
        Rastegari et al., XNOR-Net, ECCV 2016.
        https://arxiv.org/abs/1603.05279

    Examples:
        >>> w = torch.tensor([[0.5, -1.5]], requires_grad=True)
        >>> y = product_sign(w, torch.tensor([[1.0]])); y.sum().backward()
        >>> y.tolist(), w.grad.tolist()
        ([[1.0, -1.0]], [[1.5, 0.5]])
    """
    return _ProductSign.apply(weight, scale.detach())
