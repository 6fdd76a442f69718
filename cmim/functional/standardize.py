r"""Standardised latent weights and activations, and what follows from them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from cmim.functional.centred import bounded_mean, centred_sign, variance_of_centred
from cmim.functional.sign import approx_slope, sign


def standardize_filters(weight: Tensor, eps: float = 0.0, scale: float = 1.0) -> Tensor:
    r"""Zero mean and standard deviation ``scale`` in each filter, differentiable.

    .. math:: \hat w = c \, \frac{w - \mu}{\sqrt{\sigma^2 + \epsilon}}

    with the unbiased variance. A constant filter gives exact zeros in any precision.

    Args:
        weight: ``(O, ...)`` with at least two weights a filter.
        eps: Added to the variance.
        scale: c.

    Examples:
        >>> w = torch.tensor([[1.0, 2.0, 3.0], [4.0, 4.0, 4.0]])
        >>> standardize_filters(w).tolist()
        [[-1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
    """
    dims = tuple(range(1, weight.dim()))
    centred = weight - bounded_mean(weight, dims)
    variance = variance_of_centred(centred, dims) + eps
    # A constant filter has nothing to divide by; its gradient must not explode either.
    variance = torch.where(variance == 0, torch.ones_like(variance), variance)
    return centred * (scale / variance.sqrt())


def power_of_two_scale(standardized: Tensor) -> Tensor:
    r"""Power of two nearest (in the logarithm) to each filter's mean magnitude.

    .. math:: 2^{\mathrm{round}(\log_2 \mathrm{mean}|\hat w|)}

    Args:
        standardized: ``(O, ...)``.

    Returns:
        ``(O, 1, ...)``; 0 for a filter of zeros. Multiplying by it is a bit shift.

    References:
        Qin et al., IR-Net, CVPR 2020. https://arxiv.org/abs/1909.10788

    Examples:
        >>> power_of_two_scale(torch.tensor([[1.3, -1.3], [0.1, 0.1]])).tolist()
        [[1.0], [0.125]]
    """
    dims = tuple(range(1, standardized.dim()))
    exponent = standardized.abs().mean(dims, keepdim=True).log2().round()
    return torch.exp2(exponent)


def quantile_threshold(progress: Tensor, low: float, high: float) -> Tensor:
    r"""ReCU's tau, rising exponentially from ``low`` to ``high``.

    .. math:: \tau = \tau_{low} + (\tau_{high} - \tau_{low}) \frac{e^p - 1}{e - 1}

    Args:
        progress: Share p of training that is done, 0 to 1.
        low: tau at the start.
        high: tau at the end.

    References:
        Xu et al., ReCU, ICCV 2021, and its code. https://arxiv.org/abs/2103.12369

    Examples:
        >>> taus = [quantile_threshold(torch.tensor(p), 0.85, 0.99) for p in (0.0, 1.0)]
        >>> [round(tau.item(), 4) for tau in taus]
        [0.85, 0.99]
    """
    return low + (high - low) * progress.expm1() / (math.e - 1)


def rectified_clamp(standardized: Tensor, tau: Tensor) -> Tensor:
    r"""Clamp weights at the tau quantile of a Laplace distribution fitted to the layer.

    .. math::
        \mathrm{clamp}(\hat w, -Q, Q), \qquad
        Q = -\mathrm{mean}|\hat w| \ln(2 - 2\tau)

    The mean runs over the whole layer; Q is a constant of the step. Gradients pass
    where ``|w| <= Q``.

    Args:
        standardized: ``(O, ...)``.
        tau: Scalar tensor in (0.5, 1).

    References:
        Xu et al., ReCU, ICCV 2021. https://arxiv.org/abs/2103.12369

    Examples:
        >>> w = torch.tensor([[0.5, -1.0, 1.5]])
        >>> tau = torch.tensor(1 - 0.5 / torch.e)  # ln(2 - 2 tau) = -1: Q = mean|w|
        >>> [round(v, 4) for v in rectified_clamp(w, tau).flatten().tolist()]
        [0.5, -1.0, 1.0]
    """
    bound = -standardized.detach().abs().mean() * (2 - 2 * tau).log()
    bound = bound.to(standardized.dtype)
    return torch.clamp(standardized, -bound, bound)


class _StandardizedApproxSign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, eps: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.eps = eps
        # Division by a positive number leaves the sign as it is.
        return sign(x)

    @staticmethod
    def backward(ctx, grad: Tensor):
        (x,) = ctx.saved_tensors
        dims = tuple(range(1, x.dim()))
        centred = x - x.mean(dims, keepdim=True)
        inverse = (variance_of_centred(centred, dims) + ctx.eps).rsqrt()
        grad = grad * approx_slope((x * inverse).abs_()) * inverse
        # The standard deviation depends on every element of the sample.
        total = (grad * x).sum(dims, keepdim=True)
        share = total * inverse.square() / (x[0].numel() - 1)
        return grad - share * centred, None


def standardized_approx_sign(x: Tensor, eps: float = 1e-5) -> Tensor:
    r"""``approx_sign`` of each sample over its own standard deviation.

    .. math::
        b = \mathrm{sign}\left(\frac{x}{s}\right), \quad
        s = \sqrt{\mathrm{var}(x) + \epsilon}

    with the unbiased variance over all but the first dimension. The gradient flows
    through s too. Only x itself is kept for the backward pass.

    Args:
        x: ``(N, *)`` with at least two elements a sample.
        eps: Added to the variance.

    References:
        Xu et al., ReCU, ICCV 2021, and its code. https://arxiv.org/abs/2103.12369

    Examples:
        >>> x = torch.tensor([[-3.0, 0.0, 3.0]], requires_grad=True)
        >>> y = standardized_approx_sign(x); y.sum().backward()
        >>> y.tolist(), [round(g, 3) for g in x.grad.flatten().tolist()]
        ([[-1.0, 1.0, 1.0]], [0.0, 0.667, 0.0])
    """
    return _StandardizedApproxSign.apply(x, eps)


def centred_approx_sign(x: Tensor, eps: float = 1e-5) -> Tensor:
    r"""``approx_sign`` of each standardised sample.

    .. math::
        b = \mathrm{sign}(\hat x), \quad
        \hat x = \frac{x - \mathrm{mean}(x)}{\sqrt{\mathrm{var}(x) + \epsilon}}

    with the unbiased variance over all but the first dimension; see
    :func:`cmim.functional.centred.centred_sign`.

    Args:
        x: ``(N, *)`` with at least two elements a sample.
        eps: Added to the variance.

    References:
        Lin et al., SiMaN, TPAMI 2022, and its code. https://arxiv.org/abs/2102.07981

    Examples:
        >>> x = torch.tensor([[1.0, 2.0, 3.0]], requires_grad=True)
        >>> y = centred_approx_sign(x, eps=0.0)
        >>> y[0, 1].backward()  # slope 2 at 0, less its mean
        >>> y.tolist(), [round(3 * g, 4) for g in x.grad.flatten().tolist()]
        ([[-1.0, 1.0, 1.0]], [-2.0, 4.0, -2.0])
    """
    return centred_sign(x, lambda standardized: approx_slope(standardized.abs()), eps)
