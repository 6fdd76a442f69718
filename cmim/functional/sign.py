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
    if x.requires_grad and torch.is_grad_enabled():
        return _FlatSign.apply(x)
    # Compared into a floating tensor and clamped to one point (which NaN survives):
    # many times faster on a CPU than two selections.
    below = torch.lt(x, 0, out=torch.empty_like(x))
    return x.clamp(1, 1).sub_(below, alpha=2)


class _FlatSign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return sign(x)

    @staticmethod
    def backward(ctx, grad: Tensor):
        return torch.zeros_like(grad)


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


def approx_slope(magnitude: Tensor) -> Tensor:
    """``max(0, 2 - 2|x|)``, the gradient of :func:`approx_sign`.

    Args:
        magnitude: ``|x|``; the result takes its memory.

    Examples:
        >>> approx_slope(torch.tensor([0.0, 0.5, 3.0])).tolist()
        [2.0, 1.0, 0.0]
    """
    two = magnitude.new_full((), 2)
    # Negative exactly outside the window, so one clamp does both.
    return torch.sub(two, magnitude, alpha=2, out=magnitude).clamp_(min=0)


class _ApproxSign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return sign(x)

    @staticmethod
    def backward(ctx, grad: Tensor):
        (x,) = ctx.saved_tensors
        return approx_slope(x.abs()).mul_(grad)


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


class _IdentitySign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, scale: Tensor | float) -> Tensor:
        return sign(x) * scale

    @staticmethod
    def backward(ctx, grad: Tensor):
        return grad, None


class _ShiftedApproxSign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, shift: Tensor) -> Tensor:
        # Not the sum: the input is kept by the shortcut anyway.
        ctx.save_for_backward(x, shift)
        return sign(x + shift).to(x.dtype)

    @staticmethod
    def backward(ctx, grad: Tensor):
        x, shift = ctx.saved_tensors
        grad = approx_slope((x + shift).abs_()).mul_(grad)
        return grad, grad.sum_to_size(shift.shape)


class _UnitStep(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        ctx.save_for_backward((x >= 0) & (x <= 1))
        return (sign(x - 0.5) + 1) / 2

    @staticmethod
    def backward(ctx, grad: Tensor):
        (inside,) = ctx.saved_tensors
        return grad * inside


def identity_sign(x: Tensor, scale: Tensor | float = 1.0) -> Tensor:
    r"""``scale * sign(x)`` whose gradient passes to x unchanged.

    .. math:: \frac{\partial b}{\partial x} := 1

    The gradient is neither windowed nor multiplied by the scale, and nothing is kept
    for the backward pass.

    Args:
        x: Floating tensor of any shape.
        scale: Broadcastable to x; a constant of the step.

    References:
        Courbariaux et al., BinaryConnect, NeurIPS 2015.
        https://arxiv.org/abs/1511.00363
        Zhou et al., DoReFa-Net, 2016. https://arxiv.org/abs/1606.06160

    Examples:
        >>> x = torch.tensor([-9.0, 0.0], requires_grad=True)
        >>> y = identity_sign(x, 0.5); y.sum().backward()
        >>> y.tolist(), x.grad.tolist()
        ([-0.5, 0.5], [1.0, 1.0])
    """
    return _IdentitySign.apply(x, scale)


def shifted_approx_sign(x: Tensor, shift: Tensor) -> Tensor:
    r"""``approx_sign(x + shift)`` that keeps x, not the sum, for the backward pass.

    Args:
        x: Floating tensor of any shape.
        shift: Broadcastable to x, without more dimensions; gets the summed gradient.

    References:
        Liu et al., ReActNet, ECCV 2020. https://arxiv.org/abs/2003.03488

    Examples:
        >>> x = torch.tensor([-0.5, -0.5], requires_grad=True)
        >>> shift = torch.tensor([0.5, 0.0], requires_grad=True)
        >>> y = shifted_approx_sign(x, shift); y.sum().backward()
        >>> y.tolist(), x.grad.tolist(), shift.grad.tolist()
        ([1.0, -1.0], [2.0, 1.0], [2.0, 1.0])
    """
    return _ShiftedApproxSign.apply(x, shift)


def unit_step(x: Tensor) -> Tensor:
    r"""Round the input, clipped to [0, 1], to {0, 1}.

    .. math::
        b(x) = \mathbf{1}\{x \ge 1/2\}, \qquad
        \frac{\partial b}{\partial x} := \mathbf{1}\{0 \le x \le 1\}

    One half maps to 1 (rounding half to even gives 0); NaN stays NaN.

    References:
        Zhou et al., DoReFa-Net, 2016.
        https://arxiv.org/abs/1606.06160

    Examples:
        >>> x = torch.tensor([-0.1, 0.0, 0.5, 1.0, 1.1], requires_grad=True)
        >>> y = unit_step(x); y.sum().backward()
        >>> y.tolist(), x.grad.tolist()
        ([0.0, 0.0, 1.0, 1.0, 1.0], [0.0, 1.0, 1.0, 1.0, 0.0])
    """
    return _UnitStep.apply(x)


def stochastic_codes(x: Tensor) -> Tensor:
    r"""Draw codes of {-1, +1} with mean ``clip(x, -1, 1)``; NaN stays NaN.

    .. math:: P(b = +1) = \mathrm{clip}\left(\tfrac{x + 1}{2}, 0, 1\right)

    Draws from torch's generator of x's device, and has no gradient rule of its own.

    References:
        Courbariaux et al., BinaryConnect, NeurIPS 2015.
        https://arxiv.org/abs/1511.00363

    Examples:
        >>> stochastic_codes(torch.tensor([-1.0, 1.0, 7.0])).tolist()
        [-1.0, 1.0, 1.0]
    """
    one = x.new_ones(())
    up = torch.rand_like(x) < ((x + 1) / 2).clamp(0, 1)
    return torch.where(torch.isnan(x), x, torch.where(up, one, -one))
