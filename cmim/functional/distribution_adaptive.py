r"""Thresholds and scales of binary activations that follow their distribution."""

from __future__ import annotations

from torch import Tensor

from cmim.functional.centred import bounded_mean


def spatial_mean(x: Tensor) -> Tensor:
    """Mean over all dimensions after the second, kept as ones; x itself without any.

    Args:
        x: ``(N, C, *)``.

    Returns:
        ``(N, C, 1, ...)`` with as many dimensions as x.

    Examples:
        >>> import torch
        >>> spatial_mean(torch.tensor([[[1.0, 3.0]]])).tolist()
        [[[2.0]]]
    """
    dims = tuple(range(2, x.dim()))
    return bounded_mean(x, dims) if dims else x


def adaptive_shift(x: Tensor, slope: Tensor, bias: Tensor) -> Tensor:
    r"""Threshold of each sample and channel, linear in its mean.

    .. math:: t_{nc} = k_c \, \overline{x_{nc}} + b_c

    The mean is a constant of the step: gradients reach k and b, not x.

    Args:
        x: ``(N, C, *)``.
        slope: ``(C,)``, k.
        bias: ``(C,)``, b.

    Returns:
        ``(N, C, 1, ...)`` in the dtype of x.

    References:
        Yin et al., BiDense, 2024, and its code. https://arxiv.org/abs/2411.10346

    Examples:
        >>> import torch
        >>> x = torch.tensor([[[1.0, 3.0]], [[4.0, 4.0]]])  # means 2 and 4
        >>> adaptive_shift(x, torch.tensor([0.5]), torch.tensor([1.0])).flatten()
        tensor([2., 3.])
    """
    shape = (-1, *[1] * (x.dim() - 2))
    slope, bias = (p.to(x.dtype).view(shape) for p in (slope, bias))
    return slope * spatial_mean(x.detach()) + bias


def adaptive_scale(x: Tensor, exponent: Tensor) -> Tensor:
    r"""Scale of each sample and channel, from its mean magnitude.

    .. math:: s_{nc} = e^{\alpha_c (\overline{|x_{nc}|} - 1)}

    1 where the mean magnitude is 1 or alpha is 0, and always positive. The mean is a
    constant of the step: gradients reach alpha, not x.

    Args:
        x: ``(N, C, *)``.
        exponent: ``(C,)``, alpha.

    Returns:
        ``(N, C, 1, ...)`` in the dtype of x.

    References:
        Yin et al., BiDense, 2024, and its code. https://arxiv.org/abs/2411.10346

    Examples:
        >>> import torch
        >>> x = torch.tensor([[[-1.0, 5.0]], [[-1.0, 1.0]]])  # mean magnitudes 3 and 1
        >>> scale = adaptive_scale(x, torch.tensor([0.5]))  # exp(0.5 * 2), exp(0)
        >>> scale.flatten().tolist()
        [2.718..., 1.0]
    """
    exponent = exponent.to(x.dtype).view(-1, *[1] * (x.dim() - 2))
    return (exponent * (spatial_mean(x.detach().abs()) - 1)).exp()
