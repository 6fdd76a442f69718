r"""Hard tanh that keeps its result, not its input."""

from __future__ import annotations

import torch
from torch import Tensor


class _HardTanh(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        y = x.clamp(-1, 1)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, grad: Tensor):
        (y,) = ctx.saved_tensors
        # Strictly inside (-1, 1) input and result are the same.
        return torch.ops.aten.hardtanh_backward(grad, y, -1, 1)


def hard_tanh(x: Tensor) -> Tensor:
    r"""Clamp to [-1, 1] with the gradient :math:`\mathbf{1}\{|x| < 1\}`.

    Output and gradient are those of ``torch.nn.functional.hardtanh``, which keeps its
    input for the backward pass, also in place (a copy then). The result is what the
    next binarizer and the next shortcut keep anyway, so it costs no memory.

    Args:
        x: Floating tensor of any shape.

    Examples:
        >>> x = torch.tensor([-2.0, -1.0, 0.5, 1.0], requires_grad=True)
        >>> y = hard_tanh(x); y.sum().backward()
        >>> y.tolist(), x.grad.tolist()
        ([-1.0, -1.0, 0.5, 1.0], [0.0, 0.0, 1.0, 0.0])
    """
    return _HardTanh.apply(x)
