r"""The negative logarithm of a posterior of weights, with two modes at their codes."""

from __future__ import annotations

import torch
from torch import Tensor

from cmim.functional.sign import sign


def bayesian_kernel_error(
    weight: Tensor, reconstruction: Tensor, nu: float, eps: float = 1e-8
) -> Tensor:
    r"""How far weights are from what their signs stand for, and from two Gaussians.

    .. math::
        \sum_{o, j} \left( (s_{oj} - w_j k_{oj})^2 + \nu \left(
        \frac{(k_{oj} - s_{oj} \mu_o)^2}{\sigma_o^2} + \log \sigma_o^2 \right) \right),
        \qquad s = \mathrm{sign}(k), \quad
        \mu_o = \mathrm{mean}_j |k_{oj}|, \quad
        \sigma_o^2 = \mathrm{mean}_j (|k_{oj}| - \mu_o)^2 + \epsilon

    over the weights j of the filters o. Signs, means and variances are constants of the
    step: gradients reach k and w. At an exact 0 the mode is that of +1. Computed in
    float32 at least.

    Args:
        weight: k, ``(O, ...)`` latent weights.
        reconstruction: w, broadcastable to ``weight``.
        nu: Variance of the reconstruction error, >= 0: weight of the Gaussians.
        eps: Added to the variances, in the units of squared weights.

    Returns:
        Scalar; may be negative.

    References:
        Gu et al., Bayesian Optimized 1-Bit CNNs, ICCV 2019.
        https://arxiv.org/abs/1908.06314

    Examples:
        >>> k = torch.tensor([[1.0, -3.0]])  # mu = 2, sigma = 1
        >>> bayesian_kernel_error(k, torch.tensor(0.5), nu=0.0).item()  # 1/4 + 1/4
        0.5
        >>> bayesian_kernel_error(k, torch.tensor(0.5), nu=0.25, eps=0.0).item()
        1.0
    """
    dtype = torch.promote_types(weight.dtype, torch.float32)
    kernel, factor = weight.to(dtype), reconstruction.to(dtype)
    codes = sign(kernel.detach())
    dims = tuple(range(1, weight.dim()))
    with torch.no_grad():
        magnitude = kernel.abs()
        mean = magnitude.mean(dims, keepdim=True)
        variance = (magnitude - mean).square().mean(dims, keepdim=True) + eps
    apart = (codes - factor * kernel).square()
    modes = (kernel - codes * mean).square() / variance + variance.log()
    return (apart + nu * modes).sum()


@torch.no_grad()
def reconstruction_vector(weight: Tensor, eps: float = 1e-8) -> Tensor:
    r"""Factors by which a layer's weights come nearest to their signs, one a position.

    .. math::
        w_j = \arg\min_w \sum_{o, i} \left(\mathrm{sign}(k_{oij}) - w\, k_{oij}\right)^2
        = \frac{\sum_{oi} |k_{oij}|}{\sum_{oi} k_{oij}^2}

    over all filters o and input channels i, for each position j of the kernel; positive
    by :math:`\epsilon` in numerator and denominator.

    Args:
        weight: k, ``(O, I, kh, kw)``.
        eps: epsilon.

    Returns:
        ``(1, 1, kh, kw)``.

    Examples:
        >>> k = torch.tensor([[[[1.0, 0.0]]], [[[-3.0, 0.0]]]])
        >>> [round(w, 6) for w in reconstruction_vector(k).flatten().tolist()]
        [0.4, 1.0]
    """
    dtype = torch.promote_types(weight.dtype, torch.float32)
    kernel = weight.to(dtype)
    total = kernel.abs().sum((0, 1), keepdim=True) + eps
    return (total / (kernel.square().sum((0, 1), keepdim=True) + eps)).to(weight.dtype)
