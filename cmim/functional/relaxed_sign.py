r"""A sign that training softens: one of two values as a softmax over both."""

from __future__ import annotations

import torch
from torch import Tensor

from cmim.functional.sign import sign


def search_temperature(
    progress: Tensor,
    t_min: float = 1.0,
    t_max: float = 350.0,
    start: float = 0.4,
    end: float = 0.9,
) -> Tensor:
    r"""Temperature T of the search: constant, then exponential, then infinite.

    .. math::
        T = t_{\min} (t_{\max} / t_{\min})^{q}, \quad
        q = \mathrm{clip}\left(\frac{p - p_0}{p_1 - p_0}, 0, 1\right), \qquad
        T = \infty \text{ where } p \ge p_1

    Args:
        progress: Share p of training that is done, 0 to 1.
        t_min: T at the start, > 0.
        t_max: T just before ``end``, > 0.
        start: Share p_0 from which T rises.
        end: Share p_1 from which only the codes are left, > ``start``.

    References:
        Yang et al., Searching for Low-Bit Weights in Quantized Neural Networks,
        NeurIPS 2020, and its read-me. https://arxiv.org/abs/2009.08695

    Examples:
        >>> shares = torch.tensor([0.0, 0.5, 0.75, 1.0])
        >>> search_temperature(shares, 1.0, 16.0, start=0.5, end=1.0).tolist()
        [1.0, 1.0, 4.0, inf]
    """
    share = ((progress - start) / (end - start)).clamp(0, 1)
    rising = t_min * (t_max / t_min) ** share
    return torch.where(progress >= end, torch.inf, rising)


class _RelaxedSign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, temperature: Tensor) -> Tensor:
        soft = (x * (temperature / 2)).tanh_()
        # Infinity times zero is no code.
        out = torch.where(temperature.isinf(), sign(x), soft)
        # The output, which the convolution keeps anyway.
        ctx.save_for_backward(out, temperature)
        return out

    @staticmethod
    def backward(ctx, grad: Tensor):
        out, temperature = ctx.saved_tensors
        steepness = torch.where(temperature.isinf(), 0, temperature / 2)
        return grad * out.square().neg_().add_(1).mul_(steepness), None


def relaxed_sign(x: Tensor, temperature: Tensor) -> Tensor:
    r"""Mean of -1 and +1 under the softmax of two logits with the difference x.

    .. math::
        b(x) = \tanh\left(\frac{T x}{2}\right)
             = \sum_{v \in \{-1, 1\}} v \, \mathrm{softmax}(T a)_v,
        \qquad x = a_{+1} - a_{-1}

    with its true gradient. At ``T = inf`` it is ``sign(x)``, with gradient 0. Only the
    output is kept for the backward pass.

    Args:
        x: Floating tensor of any shape.
        temperature: T > 0, scalar tensor; a constant of the step.

    References:
        Yang et al., Searching for Low-Bit Weights in Quantized Neural Networks,
        NeurIPS 2020. https://arxiv.org/abs/2009.08695

    Examples:
        >>> x = torch.tensor([0.0, 99.0], requires_grad=True)
        >>> y = relaxed_sign(x, torch.tensor(4.0)); y.sum().backward()
        >>> y.tolist(), x.grad.tolist()
        ([0.0, 1.0], [2.0, 0.0])
        >>> relaxed_sign(torch.tensor([-0.1, 0.0]), torch.tensor(torch.inf)).tolist()
        [-1.0, 1.0]
    """
    return _RelaxedSign.apply(x, temperature)
