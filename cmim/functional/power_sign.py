r"""Sign with the slope of a root as surrogate gradient (ReSTE)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from cmim.functional.sign import sign


def power_at(progress: Tensor, power_end: float) -> Tensor:
    r"""The power o at a point of training, from 1 up to ``power_end``.

    .. math:: o = 1 + (o_{end} - 1)\,(1 - \cos(\tfrac{\pi}{2} p))

    Args:
        progress: Share p of training that is done, 0 to 1.
        power_end: o at the end, >= 1.

    References:
        Wu et al., ReSTE, ICCV 2023, and its code. https://arxiv.org/abs/2308.06689

    Examples:
        >>> [round(power_at(torch.tensor(p), 3.0).item(), 4) for p in (0.0, 2 / 3, 1.0)]
        [1.0, 2.0, 3.0]
    """
    return 1 + (power_end - 1) * (1 - (progress * (math.pi / 2)).cos())


class _PowerSign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, power: Tensor, interval: float, limit: float) -> Tensor:
        ctx.save_for_backward(x, power)
        ctx.interval, ctx.limit = interval, limit
        return sign(x)

    @staticmethod
    def backward(ctx, grad: Tensor):
        x, power = ctx.saved_tensors
        exponent, magnitude = 1 / power - 1, x.abs()
        slope = magnitude.clamp(min=ctx.interval).pow(exponent) / power
        # A secant near zero, where the root's own slope has no bound.
        secant = torch.full_like(exponent, ctx.interval).pow(exponent)
        slope = torch.where(magnitude <= ctx.interval, secant.to(x.dtype), slope)
        return (grad * slope * (magnitude <= ctx.limit)).to(x.dtype), None, None, None


def power_sign(
    x: Tensor, power: Tensor, interval: float = 0.1, limit: float = 1.5
) -> Tensor:
    r"""Sign with the slope of ``sign(x)|x|^(1/o)``, a secant near 0 and none far out.

    .. math::
        \frac{\partial b}{\partial x} := \begin{cases}
        m^{1/o - 1} & |x| \le m \\
        \tfrac1o |x|^{1/o - 1} & m < |x| \le t \\ 0 & |x| > t \end{cases}

    With o = 1 it is the straight-through gradient clipped at t; the larger o, the
    nearer the root is to the sign.

    Args:
        x: Floating tensor of any shape.
        power: o >= 1, scalar tensor; a constant of the step.
        interval: m > 0, in the units of x.
        limit: t > m, in the units of x.

    References:
        Wu et al., ReSTE, ICCV 2023. https://arxiv.org/abs/2308.06689

    Examples:
        >>> x = torch.tensor([-2.0, 0.0, 0.25, 1.0], requires_grad=True)
        >>> y = power_sign(x, torch.tensor(2.0), interval=0.01); y.sum().backward()
        >>> y.tolist(), [round(g, 4) for g in x.grad.tolist()]
        ([-1.0, 1.0, 1.0, 1.0], [0.0, 10.0, 1.0, 0.5])
    """
    return _PowerSign.apply(x, power, interval, limit)
