"""Distances of a network to its teacher: logits, features, attention."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cmim.functional.soft_cross_entropy import soft_cross_entropy


def softened_divergence(
    logits: Tensor, reference: Tensor, temperature: float = 4.0
) -> Tensor:
    r"""Divergence of two softened class distributions, mean over samples or pixels.

    .. math::
        \frac{T^2}{M} \sum_m \sum_c p_{ref}(c)_m \log \frac{p_{ref}(c)_m}{p(c)_m},
        \qquad p = \mathrm{softmax}(\mathrm{logits} / T)

    0 where both say the same. The factor T^2 keeps the size of the gradients: for large
    T they are those of half the squared difference of the centred logits, over K. No
    labels take part; the reference has no gradient. Computed in float32 at least.

    Args:
        logits: ``(N, K)`` or ``(N, K, *)``.
        reference: Logits of the same shape, constants.
        temperature: T > 0; 1 leaves the distributions as they are.

    Returns:
        Scalar in nats, times T^2.

    Raises:
        ValueError: The shapes differ, or a temperature that is not positive.

    References:
        Hinton, Vinyals, Dean, Distilling the Knowledge in a Neural Network, 2015.
        https://arxiv.org/abs/1503.02531

    Examples:
        >>> even, sure = torch.zeros(1, 4), torch.tensor([[99.0, 0.0, 0.0, 0.0]])
        >>> softened_divergence(even, sure, temperature=1.0).item()  # log 4
        1.386...
        >>> softened_divergence(sure, sure).item()
        0.0
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    dtype = torch.promote_types(logits.dtype, torch.float32)
    ours = logits.to(dtype) / temperature
    theirs = reference.detach().to(dtype) / temperature
    entropy = soft_cross_entropy(theirs, theirs)
    return temperature**2 * (soft_cross_entropy(ours, theirs) - entropy)


def hint_distance(feature: Tensor, reference: Tensor) -> Tensor:
    r"""Mean squared difference of two feature maps (FitNets).

    .. math:: \frac{1}{NCHW} \sum (F - F_{ref})^2

    Maps of different sizes are averaged to the smaller one. Computed in float32 at
    least; the reference has no gradient.

    Args:
        feature: ``(N, C, H, W)``.
        reference: ``(N, C, H', W')``, a constant.

    Returns:
        Scalar.

    Raises:
        ValueError: Different numbers of channels.

    References:
        Romero et al., FitNets: Hints for Thin Deep Nets, ICLR 2015.
        https://arxiv.org/abs/1412.6550

    Examples:
        >>> reference = torch.tensor([[[[1.0, 3.0]]]])
        >>> hint_distance(torch.zeros(1, 1, 1, 2), reference).item()
        5.0
    """
    if feature.shape[:2] != reference.shape[:2]:
        raise ValueError(
            f"features of {feature.shape[1]} channels and a reference of "
            f"{reference.shape[1]}: hints compare channel by channel; use "
            "kind='attention', which needs no equal channels, or another teacher"
        )
    ours, theirs = _same_size(feature, reference)
    return (ours - theirs).square().mean()


def attention_distance(feature: Tensor, reference: Tensor) -> Tensor:
    r"""Mean squared difference of two normalised attention maps.

    .. math::
        \frac{1}{NHW} \sum_n \left\| \frac{q_n}{\|q_n\|} -
        \frac{q^{ref}_n}{\|q^{ref}_n\|} \right\|^2, \qquad
        q_n(y, x) = \frac{1}{C} \sum_c F_{n c y x}^2

    Where a network looks, not what it sees: channels may differ in number, and a factor
    of the features changes nothing. Maps of different sizes are averaged to the
    smaller one. Features of zeros have the attention 0 everywhere. Computed in float32
    at least; the reference has no gradient.

    Args:
        feature: ``(N, C, H, W)``.
        reference: ``(N, C', H', W')``, a constant.

    Returns:
        Scalar between 0 and 2 / (HW).

    References:
        Zagoruyko, Komodakis, Paying More Attention to Attention, ICLR 2017.
        https://arxiv.org/abs/1612.03928

    Examples:
        >>> left = torch.tensor([[[[2.0, 0.0]]]])
        >>> right = torch.tensor([[[[0.0, -1.0]]]])
        >>> attention_distance(left, right).item()  # |(1, 0) - (0, 1)|^2 / 2
        1.0
    """
    ours, theirs = _same_size(feature, reference)
    maps = [F.normalize(x.square().mean(1).flatten(1), dim=1) for x in (ours, theirs)]
    return (maps[0] - maps[1]).square().mean()


def attention_matching_distance(feature: Tensor, reference: Tensor) -> Tensor:
    r"""Mean squared difference of two attention maps, each of maximum 1.

    .. math::
        \frac{1}{NHW} \sum_n \left\| \frac{q_n}{\max q_n} -
        \frac{q^{ref}_n}{\max q^{ref}_n} \right\|^2, \qquad
        q_n(y, x) = \frac{1}{C} \sum_c F_{n c y x}^2

    :func:`attention_distance` with another normalisation: it does not shrink with the
    number of pixels. Channels may differ in number; maps of different sizes are
    averaged to the smaller one. Features of zeros have the attention 0 everywhere.
    Computed in float32 at least; the reference has no gradient.

    Args:
        feature: ``(N, C, H, W)``.
        reference: ``(N, C', H', W')``, a constant.

    Returns:
        Scalar between 0 and 1.

    References:
        Martinez et al., Training Binary Neural Networks with Real-to-Binary
        Convolutions, ICLR 2020, as in github.com/larq/zoo.
        https://arxiv.org/abs/2003.11535

    Examples:
        >>> left = torch.tensor([[[[2.0, 0.0]]]])
        >>> both = torch.tensor([[[[-3.0, 3.0]]]])
        >>> attention_matching_distance(left, both).item()  # |(1, 0) - (1, 1)|^2 / 2
        0.5
    """
    ours, theirs = _same_size(feature, reference)
    maps = [x.square().mean(1).flatten(1) for x in (ours, theirs)]
    tiny = torch.finfo(ours.dtype).tiny
    maps = [q / q.amax(1, keepdim=True).clamp(min=tiny) for q in maps]
    return (maps[0] - maps[1]).square().mean()


def _same_size(feature: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
    """Both in float32 at least and of the smaller size, the second as a constant."""
    dtype = torch.promote_types(feature.dtype, torch.float32)
    heights, widths = zip(feature.shape[2:], reference.shape[2:], strict=True)
    size = (min(heights), min(widths))

    def pooled(x: Tensor) -> Tensor:
        x = x.to(dtype)
        return x if x.shape[2:] == size else F.adaptive_avg_pool2d(x, size)

    return pooled(feature), pooled(reference.detach())
