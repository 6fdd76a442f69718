r"""The sign of a sine, with the sine's own slope as surrogate gradient (BiPer)."""

from __future__ import annotations

import torch
from torch import Tensor

from cmim.functional.sign import sign


class _PeriodicSign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, frequency: float, soft: Tensor | None) -> Tensor:
        ctx.save_for_backward(x)
        ctx.frequency = frequency
        wave = (frequency * x).sin()
        return sign(wave) if soft is None else torch.where(soft, wave, sign(wave))

    @staticmethod
    def backward(ctx, grad: Tensor):
        (x,) = ctx.saved_tensors
        slope = (ctx.frequency * x).cos_().mul_(ctx.frequency)
        return slope.mul_(grad), None, None


def periodic_sign(x: Tensor, frequency: float, soft: Tensor | None = None) -> Tensor:
    r"""A square wave whose gradient is that of the sine with the same period.

    .. math::
        b(x) = \mathrm{sign}(\sin(\omega x)), \qquad
        \frac{\partial b}{\partial x} := \omega \cos(\omega x)

    Every multiple of :math:`2 \pi / \omega` gives what 0 gives, +1. The gradient is
    negative where the sine falls, and is cut nowhere. NaN stays NaN.

    Args:
        x: Floating tensor of any shape.
        frequency: omega > 0, in radians per unit of x.
        soft: Boolean scalar: where it is true, the sine itself in place of its sign,
            with the same gradient.

    References:
        Vargas et al., BiPer, CVPR 2024. https://arxiv.org/abs/2404.01278

    Examples:
        >>> x = torch.tensor([-1.0, 0.0, 1.0], requires_grad=True)
        >>> y = periodic_sign(x, 2.0); y.sum().backward()
        >>> y.tolist(), x.grad[1].item()
        ([-1.0, 1.0, 1.0], 2.0)
        >>> periodic_sign(x.detach(), 2.0, torch.tensor(True))[1].item()
        0.0
    """
    return _PeriodicSign.apply(x, frequency, soft)
