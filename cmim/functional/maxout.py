r"""A rectifier with learned slopes on both sides."""

from __future__ import annotations

import torch
from torch import Tensor


class _Maxout(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, rising: Tensor, falling: Tensor) -> Tensor:
        ctx.save_for_backward(x, rising, falling)
        # Clips, factors and a sum: what exported files have words for.
        return x.clamp(min=0) * rising + x.clamp(max=0) * falling

    @staticmethod
    def backward(ctx, grad: Tensor):
        x, rising, falling = ctx.saved_tensors
        slope = torch.where(x > 0, rising, torch.where(x < 0, falling, 0))
        grad_rising = (grad * x.clamp(min=0)).sum_to_size(rising.shape)
        grad_falling = (grad * x.clamp(max=0)).sum_to_size(falling.shape)
        return grad * slope, grad_rising, grad_falling


def maxout(x: Tensor, rising: Tensor, falling: Tensor) -> Tensor:
    r"""Per channel ``rising * max(x, 0) + falling * min(x, 0)``.

    At exactly 0 the gradient is 0, that of the two ReLUs in the released code.

    Args:
        x: ``(N, C, *)``.
        rising: ``(C,)``, the slope above 0.
        falling: ``(C,)``, the slope below 0.

    References:
        Tu et al., AdaBin, ECCV 2022. https://arxiv.org/abs/2208.08084

    Examples:
        >>> x = torch.tensor([[-2.0], [0.0], [3.0]], requires_grad=True)
        >>> y = maxout(x, torch.tensor([2.0]), torch.tensor([0.5])); y.sum().backward()
        >>> y.flatten().tolist(), x.grad.flatten().tolist()
        ([-1.0, 0.0, 6.0], [0.5, 0.0, 2.0])
    """
    shape = (-1, *[1] * (x.dim() - 2))
    # Under autocast the activations stay in its type.
    rising, falling = (p.to(x.dtype).view(shape) for p in (rising, falling))
    return _Maxout.apply(x, rising, falling)
