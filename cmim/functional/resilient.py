r"""Scaled signs that pull latent weights towards themselves (ReBNN)."""

from __future__ import annotations

import torch
from torch import Tensor

from cmim.functional.sign import sign


def changed_share(before: Tensor, codes: Tensor) -> Tensor:
    r"""Share of each filter's codes that have another sign than before.

    Args:
        before: ``(O, ...)`` of -1, +1 and, where nothing was before, 0.
        codes: ``(O, ...)`` of -1 and +1.

    Returns:
        ``(O, 1, ...)`` in the type of ``codes``.

    Examples:
        >>> before = torch.tensor([[1, -1], [0, 1]])
        >>> changed_share(before, torch.tensor([[-1.0, -1.0], [1.0, 1.0]])).tolist()
        [[0.5], [0.0]]
    """
    dims = tuple(range(1, codes.dim()))
    changed = before.to(codes.dtype) * codes < 0
    wide = torch.promote_types(codes.dtype, torch.float32)
    return changed.to(wide).mean(dims, keepdim=True).to(codes.dtype)


class _ResilientSign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, weight: Tensor, scale: Tensor, share: Tensor) -> Tensor:
        ctx.save_for_backward(weight, scale, share)
        return sign(weight) * scale

    @staticmethod
    def backward(ctx, grad: Tensor):
        weight, scale, share = ctx.saved_tensors
        dims, codes = tuple(range(1, weight.dim())), sign(weight)
        balance = share * grad.abs().amax(dims, keepdim=True)
        pull = balance * (weight - scale * codes)
        grad_weight = grad * scale * (weight.abs() <= 1) + pull
        grad_scale = ((grad - pull) * codes).sum(dims, keepdim=True)
        return grad_weight, grad_scale, None


def resilient_sign(weight: Tensor, scale: Tensor, share: Tensor) -> Tensor:
    r"""``scale * sign(w)``, with a pull of the latent weights towards it.

    .. math::
        \frac{\partial L}{\partial w} := \alpha g \cdot \mathbf 1\{|w| \le 1\} + \gamma
        (w - \alpha b), \qquad
        \frac{\partial L}{\partial \alpha} := \sum_j \big(g - \gamma (w - \alpha b)\big)
        b, \qquad \gamma = \rho \max_j |g|

    with the gradient g of the binary weights, b = sign(w), and the sums over a filter:
    the gradient of the task's loss and of
    :math:`\tfrac\gamma2 \|w - \alpha b\|^2` together. Where no sign changes, rho is 0
    and nothing is pulled.

    Args:
        weight: ``(O, ...)``.
        scale: alpha, ``(O, 1, ...)``, learned.
        share: rho, ``(O, 1, ...)``: share of the signs that changed, a constant.

    References:
        Xu et al., Resilient Binary Neural Network, AAAI 2023.
        https://arxiv.org/abs/2302.00956

    Examples:
        >>> w = torch.tensor([[0.5, -2.0]], requires_grad=True)
        >>> scale = torch.tensor([[1.0]], requires_grad=True)
        >>> y = resilient_sign(w, scale, torch.tensor([[0.5]])); y.sum().backward()
        >>> y.tolist(), w.grad.tolist(), scale.grad.item()
        ([[1.0, -1.0]], [[0.75, -0.5]], -0.25)
    """
    return _ResilientSign.apply(weight, scale, share)


class _ReleasedResilientSign(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx, weight: Tensor, scale: Tensor, unit: float, balance: float
    ) -> Tensor:
        ctx.save_for_backward(weight, scale)
        ctx.unit, ctx.balance = unit, balance
        return sign(weight) * unit * scale

    @staticmethod
    def backward(ctx, grad: Tensor):
        weight, scale = ctx.saved_tensors
        dims, codes = tuple(range(1, weight.dim())), sign(weight) * ctx.unit
        pull = ctx.balance * (weight - scale * codes)
        grad_scale = (grad * weight - pull * codes).sum(dims, keepdim=True)
        return grad * scale + pull, grad_scale, None, None


def released_resilient_sign(
    weight: Tensor, scale: Tensor, unit: float = 0.02, balance: float = 2e-4
) -> Tensor:
    r"""What the code released for ReBNN computes, which is not :func:`resilient_sign`.

    .. math::
        \hat w = u \alpha b, \qquad
        \frac{\partial L}{\partial w} := \alpha g + \gamma (w - u \alpha b), \qquad
        \frac{\partial L}{\partial \alpha} := \sum_j g w - \gamma (w - u \alpha b) u b

    Args:
        weight: ``(O, ...)``.
        scale: alpha, ``(O, 1, ...)``, learned.
        unit: u.
        balance: gamma.

    References:
        Xu et al., Resilient Binary Neural Network, AAAI 2023, its code.
        https://github.com/SteveTsui/ReBNN

    Examples:
        >>> w = torch.tensor([[0.5, -2.0]], requires_grad=True)
        >>> scale = torch.tensor([[2.0]], requires_grad=True)
        >>> y = released_resilient_sign(w, scale, unit=0.5, balance=0.5)
        >>> y.sum().backward()
        >>> y.tolist(), w.grad.tolist(), scale.grad.item()
        ([[1.0, -1.0]], [[1.75, 1.5]], -1.625)
    """
    return _ReleasedResilientSign.apply(weight, scale, unit, balance)
