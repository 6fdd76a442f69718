r"""Sign with the gradient of its truncated Fourier series, and what goes with it."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from cmim.functional.sign import sign

OMEGA = 0.1


def fourier_terms(progress: Tensor) -> Tensor:
    r"""Number of sines at a point of training, :math:`10 + \lfloor 9 p \rfloor`.

    Args:
        progress: Share p of training that is done, 0 to 1.

    References:
        BiBench, github.com/htqin/BiBench (10 in the first epoch, 18 in the last).

    Examples:
        >>> fourier_terms(torch.tensor([0.0, 0.5, 1.0])).tolist()
        [10.0, 14.0, 19.0]
    """
    return 10 + (9 * progress).floor()


def fourier_slope(x: Tensor, terms: Tensor, omega: float = OMEGA) -> Tensor:
    r"""Derivative of the first sines of a square wave, 0 outside of [-1, 1].

    .. math::
        \frac{4 \omega}{\pi} \sum_{i=0}^{m-1} \cos((2 i + 1)\, \omega x)
        = \frac{2 \omega}{\pi} \, \frac{\sin(2 m \omega x)}{\sin(\omega x)}

    by the closed form, which takes two sines instead of m cosines. Computed in float32
    at least.

    Args:
        x: Floating tensor of any shape.
        terms: Number m of sines, scalar tensor.
        omega: Frequency of the first sine, between 0 and pi: the wave's next step,
            at :math:`\pi / \omega`, must lie outside of the window.

    Examples:
        >>> x = torch.tensor([-1.5, 0.0], dtype=torch.float64)
        >>> slope = fourier_slope(x, torch.tensor(10), omega=0.1)
        >>> slope[0].item(), slope[1].item() == 4 / math.pi
        (0.0, True)
        >>> edge = torch.tensor(1.0, dtype=torch.float64)  # cos(1/2) + cos(3/2)
        >>> expected = 2 / math.pi * (math.cos(0.5) + math.cos(1.5))
        >>> abs(fourier_slope(edge, torch.tensor(2), 0.5).item() - expected) < 1e-15
        True
    """
    wide = torch.promote_types(x.dtype, torch.float32)
    angle = omega * x.to(wide).clamp(-1, 1)
    terms = terms.to(wide)
    ratio = (2 * terms * angle).sin() / angle.sin()
    # 0 / 0 at 0; NaN of a diverged network stays.
    ratio = torch.where(angle == 0, 2 * terms, ratio)
    return (2 * omega / math.pi * ratio * (x.abs() <= 1)).to(x.dtype)


class _FourierSign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, terms: Tensor, omega: float) -> Tensor:
        ctx.save_for_backward(x, terms)
        ctx.omega = omega
        return sign(x)

    @staticmethod
    def backward(ctx, grad: Tensor):
        x, terms = ctx.saved_tensors
        return grad * fourier_slope(x, terms, ctx.omega), None, None


def fourier_sign(x: Tensor, terms: Tensor, omega: float = OMEGA) -> Tensor:
    r"""Sign with the gradient :func:`fourier_slope`.

    Only x itself is kept for the backward pass.

    Args:
        x: Floating tensor of any shape.
        terms: Number of sines, scalar tensor; a constant of the step.
        omega: Frequency of the first sine, between 0 and pi.

    References:
        Xu et al., Learning Frequency Domain Approximation for Binary Neural Networks,
        NeurIPS 2021. https://arxiv.org/abs/2103.00841

    Examples:
        >>> x = torch.tensor([-2.0, 0.0], requires_grad=True)
        >>> y = fourier_sign(x, torch.tensor(5), omega=math.pi / 4); y.sum().backward()
        >>> y.tolist(), x.grad.tolist()  # 4 omega / pi times 5
        ([-1.0, 1.0], [0.0, 5.0])
    """
    return _FourierSign.apply(x, terms, omega)


def noise_share(progress: Tensor) -> Tensor:
    r"""Weight of the noise adaptation, falling from 0.1 to 0.

    .. math:: \alpha = 0.05 \, (1 + \cos(\pi p))

    Args:
        progress: Share p of training that is done, 0 to 1.

    References:
        BiBench, github.com/htqin/BiBench.

    Examples:
        >>> [round(a, 6) for a in noise_share(torch.tensor([0.0, 0.5, 1.0])).tolist()]
        [0.1, 0.05, 0.0]
    """
    return 0.05 * (1 + (math.pi * progress).cos())


def noise_adaptation(x: Tensor, reduce: Tensor, expand: Tensor) -> Tensor:
    r"""What is learned of the error of the sines, a bottleneck beside a sine.

    .. math:: \eta(x) = W_2 \max(0, W_1 x) + 0.1 \sin(x)

    Args:
        x: ``(..., d)``.
        reduce: :math:`W_1`, ``(h, d)``.
        expand: :math:`W_2`, ``(d, h)``.

    Returns:
        ``(..., d)``.

    References:
        Xu et al., FDA, NeurIPS 2021, and its code in BiBench.
        https://arxiv.org/abs/2103.00841

    Examples:
        >>> x, one = torch.tensor([[0.0, 2.0]]), torch.ones(1, 2)
        >>> noise_adaptation(x, one, 3 * one.T)[0, 0].item()  # 3 (0 + 2)
        6.0
    """
    return F.linear(F.relu(F.linear(x, reduce)), expand) + 0.1 * x.sin()
