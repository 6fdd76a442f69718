r"""Uniform levels in the unit interval, for binarizers of several bits."""

from __future__ import annotations

import torch
from torch import Tensor


def level_threshold(level: Tensor | int, bits: int) -> Tensor | float:
    r"""From where on values are rounded to a level: ``(i - 1/2) / (2^k - 1)``.

    Examples:
        >>> level_threshold(1, bits=1), level_threshold(2, bits=2)
        (0.5, 0.5)
    """
    return (level - 0.5) / (2**bits - 1)


def unit_level(x: Tensor, bits: int) -> Tensor:
    r"""Number of thresholds that the input reaches: 0 to ``2^k - 1``, as floats.

    The same as rounding ``(2^k - 1) clip(x, 0, 1)`` with halves rounded up, but exact
    at the thresholds of :func:`level_threshold`. NaN stays NaN.

    Args:
        x: Floating tensor of any shape.
        bits: k, 1 to 8.

    Examples:
        >>> unit_level(torch.tensor([-1.0, 0.1, 0.5, 0.9, 7.0]), bits=2).tolist()
        [0.0, 0.0, 2.0, 3.0, 3.0]
    """
    inside = x.clamp(0, 1)
    level = (inside * (2**bits - 1) + 0.5).floor()
    # The product is rounded, the comparison is not.
    up = inside >= level_threshold(level + 1, bits)
    down = inside < level_threshold(level, bits)
    return level + up.to(x.dtype) - down.to(x.dtype)


class _UnitRound(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, bits: int) -> Tensor:
        ctx.save_for_backward((x >= 0) & (x <= 1))
        return unit_level(x, bits) / (2**bits - 1)

    @staticmethod
    def backward(ctx, grad: Tensor):
        (inside,) = ctx.saved_tensors
        return grad * inside, None


def unit_round(x: Tensor, bits: int) -> Tensor:
    r"""Round to ``2^k`` levels between 0 and 1.

    .. math::
        q_k(x) = \frac{1}{2^k - 1}
        \left\lfloor (2^k - 1)\,\mathrm{clip}(x, 0, 1) + \tfrac12 \right\rfloor, \qquad
        \frac{\partial q_k}{\partial x} := \mathbf{1}\{0 \le x \le 1\}

    Halves are rounded up, NaN stays NaN.

    Args:
        x: Floating tensor of any shape.
        bits: k, 1 to 8.

    References:
        Zhou et al., DoReFa-Net, 2016. https://arxiv.org/abs/1606.06160

    Examples:
        >>> x = torch.tensor([-0.1, 0.0, 0.5, 1.0], requires_grad=True)
        >>> y = unit_round(x, bits=1); y.sum().backward()
        >>> y.tolist(), x.grad.tolist()
        ([0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 1.0, 1.0])
    """
    return _UnitRound.apply(x, bits)


def unit_weights(weight: Tensor) -> Tensor:
    r"""Squash weights into [0, 1], the largest magnitude to an end; differentiable.

    .. math:: \frac{\tanh w}{2 \max |\tanh w|} + \frac12

    The maximum runs over the whole tensor and gets its gradient, shared among ties.
    A tensor of zeros gives one half.

    Args:
        weight: Floating tensor of any shape.

    References:
        Zhou et al., DoReFa-Net, 2016. https://arxiv.org/abs/1606.06160

    Examples:
        >>> unit_weights(torch.tensor([-0.3, 0.0, 0.3])).tolist()
        [0.0, 0.5, 1.0]
    """
    squashed = weight.tanh()
    largest = squashed.abs().amax()
    largest = torch.where(largest == 0, torch.ones_like(largest), largest)
    return squashed / largest * 0.5 + 0.5
