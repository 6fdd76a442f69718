r"""How far the activations of each channel are from a useful spread around zero."""

from __future__ import annotations

import torch
from torch import Tensor


def activation_spread(x: Tensor, eps: float = 1e-10) -> Tensor:
    r"""Penalty on channels that a sign would waste, zero for well-spread ones.

    .. math::
        \frac{1}{C} \sum_c \left[ (2 - |\mu_c| - \sigma_c)_+^2 + (\sigma_c - 4)_+^2
        + (\mu_c^2 - \sigma_c^2)_+ \right]

    with mean and standard deviation (biased, of the batch) of each channel. The first
    term is against gradients that all pass, the second against gradients that none do,
    the third against signs that all are equal. Computed in float32 at least.

    Args:
        x: ``(N, C, *)`` in front of the sign.
        eps: Added to the variance, so that a constant channel has a gradient.

    Returns:
        Scalar.

    References:
        Ding et al., Regularizing Activation Distribution for Training Binarized Deep
        Networks, CVPR 2019, and its code. https://arxiv.org/abs/1904.02823

    Examples:
        >>> x = torch.tensor([[-3.0, 2.0], [3.0, 2.0]])  # mean 0 and 2, deviation 3, 0
        >>> activation_spread(x).item()  # channel 0: 0; channel 1: 0 + 0 + 4
        2.0
        >>> activation_spread(torch.zeros(2, 1)).item()  # (2 - 0 - 1e-5)^2
        3.9999...
    """
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    dims = [d for d in range(x.dim()) if d != 1]
    variance, mean = torch.var_mean(x, dims, correction=0)
    variance = variance + eps
    deviation = variance.sqrt()
    narrow = (2 - mean.abs() - deviation).clamp(min=0).square()
    wide = (deviation - 4).clamp(min=0).square()
    one_sided = (mean.square() - variance).clamp(min=0)
    return (narrow + wide + one_sided).mean()
