r"""The sign function and its surrogate gradients.

One convention everywhere, in training, evaluation and export: ``sign(0) = +1``,
also for ``-0.0`` (``torch.sign`` gives 0). NaN stays NaN, so that a diverged
network is seen in its loss and never hidden behind a code of +1 or -1.
"""

from __future__ import annotations

import torch
from torch import Tensor


def sign(x: Tensor) -> Tensor:
    r"""Map to {-1, +1} with ``sign(0) = sign(-0.0) = +1`` and NaN kept.

    Args:
        x: Floating tensor of any shape.

    Returns:
        Tensor of the same shape, dtype and device; carries no gradient rule of its
        own (its derivative is 0), see the surrogates below.

    Examples:
        >>> sign(torch.tensor([-2.0, -0.0, 0.0, 3.0])).tolist()
        [-1.0, 1.0, 1.0, 1.0]
        >>> sign(torch.tensor([float("nan")])).isnan().all().item()
        True
    """
    one = x.new_ones(())
    codes = torch.where(x < 0, -one, one)
    return torch.where(torch.isnan(x), x, codes)


class _SteSign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, clip_value: float) -> Tensor:
        # One byte an element instead of the input itself.
        ctx.save_for_backward(x.abs() <= clip_value)
        return sign(x)

    @staticmethod
    def backward(ctx, grad: Tensor):
        (inside,) = ctx.saved_tensors
        return grad * inside, None


class _ApproxSign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return sign(x)

    @staticmethod
    def backward(ctx, grad: Tensor):
        (x,) = ctx.saved_tensors
        # 2 - 2|x| is negative exactly outside the window, so one clamp does both.
        return grad * x.abs().mul_(-2).add_(2).clamp_(min=0)


def ste_sign(x: Tensor, clip_value: float = 1.0) -> Tensor:
    r"""Sign with the clipped straight-through gradient.

    .. math:: \frac{\partial b}{\partial x} := \mathbf{1}\{|x| \le c\}

    Args:
        x: Floating tensor of any shape.
        clip_value: Half-width c > 0 of the gradient window, in the units of x.

    Raises:
        ValueError: If ``clip_value <= 0``.

    References:
        Hubara et al., Binarized Neural Networks, NeurIPS 2016.
        https://arxiv.org/abs/1602.02830

    Examples:
        >>> x = torch.tensor([-1.5, -1.0, 0.0, 1.0], requires_grad=True)
        >>> y = ste_sign(x); y.sum().backward()
        >>> y.tolist(), x.grad.tolist()
        ([-1.0, -1.0, 1.0, 1.0], [0.0, 1.0, 1.0, 1.0])
    """
    if clip_value <= 0:
        raise ValueError(f"clip_value must be positive, got {clip_value}")
    return _SteSign.apply(x, clip_value)


def approx_sign(x: Tensor) -> Tensor:
    r"""Sign with the piecewise-quadratic surrogate gradient of Bi-Real Net.

    .. math:: \frac{\partial b}{\partial x} := \max(0, 2 - 2|x|)

    References:
        Liu et al., Bi-Real Net, ECCV 2018, Eq. 3-4. https://arxiv.org/abs/1808.00278

    Examples:
        >>> x = torch.tensor([-1.5, -0.5, 0.0, 1.0], requires_grad=True)
        >>> y = approx_sign(x); y.sum().backward()
        >>> y.tolist(), x.grad.tolist()
        ([-1.0, -1.0, 1.0, 1.0], [0.0, 1.0, 2.0, 0.0])
    """
    return _ApproxSign.apply(x)
