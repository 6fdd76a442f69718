r"""Two levels with the gradient of a scaled hyperbolic tangent between them (DSQ)."""

from __future__ import annotations

import torch
from torch import Tensor


class _SoftTwoLevels(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, middle: Tensor, half: Tensor, alpha: Tensor) -> Tensor:
        ctx.save_for_backward(x, middle, half, alpha)
        codes = torch.where(x >= middle, middle + half, middle - half).to(x.dtype)
        return torch.where(torch.isnan(x), x, codes)

    @staticmethod
    def backward(ctx, grad: Tensor):
        x, middle, half, alpha = ctx.saved_tensors
        place = (x - middle) / half
        # k times half the range, so that k (x - m) = steep * place.
        steep = (2 / alpha - 1).log() / 2
        curve = (steep * place).tanh_()
        inside = grad * (place.abs() <= 1)
        slope = (1 - curve.square()) * (steep / (1 - alpha))
        along = inside * slope
        # In half precision the sums over a feature map overflow.
        wide = torch.promote_types(x.dtype, torch.float32)
        grad_middle = grad.sum(dtype=wide) - along.sum(dtype=wide)
        side = torch.where(x >= middle, grad, -grad)
        grad_half = side.sum(dtype=wide) - (along * place).sum(dtype=wide)
        # d(steep)/d(alpha) = -1 / (alpha (2 - alpha)).
        bend = slope * place / (steep * alpha * (2 - alpha))
        pull = inside * (curve / (1 - alpha).square() - bend)
        grad_alpha = half * pull.sum(dtype=wide)
        return (
            along,
            grad_middle.to(middle.dtype),
            grad_half.to(half.dtype),
            grad_alpha.to(alpha.dtype),
        )


def soft_two_levels(x: Tensor, middle: Tensor, half: Tensor, alpha: Tensor) -> Tensor:
    r"""Quantize to the ends of a range; the gradient is that of its soft version.

    .. math::
        b = m + h \, \mathrm{sign}(\varphi), \quad
        \varphi = s \tanh(k (\mathrm{clip}(x, m - h, m + h) - m))

    .. math::
        k = \frac{\ln(2 / \alpha - 1)}{2h}, \quad
        s = \frac{1}{\tanh(k h)} = \frac{1}{1 - \alpha}, \quad
        \frac{\partial\, \mathrm{sign}(\varphi)}{\partial \varphi} := 1

    All four arguments get a gradient, and only x is kept for it. The middle itself
    maps to the upper level; NaN stays NaN.

    Args:
        x: Floating tensor of any shape.
        middle: Scalar m.
        half: Scalar h > 0, half the range.
        alpha: Scalar between 0 (a step) and 1 (a line).

    References:
        Gong et al., DSQ, ICCV 2019. https://arxiv.org/abs/1908.05033

    Examples:
        >>> x = torch.tensor([-3.0, 0.0, 1.0], requires_grad=True)
        >>> half = torch.tensor(2.0, requires_grad=True)
        >>> y = soft_two_levels(x, torch.tensor(0.0), half, torch.tensor(0.999))
        >>> y.sum().backward()
        >>> y.tolist(), [round(g, 3) for g in x.grad.tolist()]
        ([-2.0, 2.0, 2.0], [0.0, 1.0, 1.0])
        >>> round(half.grad.item(), 3)  # -1 + 1 + (1 - 1/2)
        0.5
    """
    return _SoftTwoLevels.apply(x, middle, half, alpha)
