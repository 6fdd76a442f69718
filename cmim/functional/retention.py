r"""Lipschitz constants between consecutive feature maps, without weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def _pooled(x: Tensor, size: tuple[int, int]) -> Tensor:
    return x if x.shape[2:] == size else F.adaptive_avg_pool2d(x, size)


def retention_norm(first: Tensor, second: Tensor, iterations: int = 1) -> Tensor:
    r"""Largest singular value of each sample's retention matrix, by power iteration.

    .. math::
        R = \frac{F_1 F_2^T}{HW}, \qquad
        v \leftarrow \frac{R R^T v}{\|R R^T v\|}, \qquad
        \sigma_1 \approx \sqrt{\|R R^T v\|}

    with features as rows of pixels. v starts as ones and is not normalised before the
    first step, as in the released code: a single iteration gives up to
    :math:`C_1^{1/4}` times the singular value; more iterations approach it. Only
    products with vectors are computed, never R. Maps of different sizes are averaged to
    the smaller one. Features of zeros give 0.

    Args:
        first: ``(N, C1, H1, W1)``.
        second: ``(N, C2, H2, W2)``.
        iterations: Steps of the power iteration, at least 1.

    Returns:
        ``(N,)``.

    Raises:
        ValueError: Fewer than one iteration.

    References:
        Shang et al., Lipschitz Continuity Retained Binary Neural Network, ECCV 2022,
        and its code. https://arxiv.org/abs/2207.06540

    Examples:
        >>> first = torch.tensor([3.0, 1.0]).view(1, 2, 1, 1)
        >>> second = torch.tensor([2.0]).view(1, 1, 1, 1)  # R = (6, 2)
        >>> round(retention_norm(first, second).item() ** 4)  # |R R^T 1| = |48, 16|
        2560
        >>> round(retention_norm(first, second, iterations=2).item() ** 2)  # |R|
        40
    """
    if iterations < 1:
        raise ValueError(f"iterations must be at least 1, got {iterations}")
    size = (min(first.shape[2], second.shape[2]), min(first.shape[3], second.shape[3]))
    a, b = (_pooled(x, size).flatten(2) for x in (first, second))
    pixels = a.shape[2]
    tiny = torch.finfo(a.dtype).tiny
    v = a.new_ones(a.shape[0], a.shape[1], 1)
    norm = v
    for _ in range(iterations):
        v = b @ (a.mT @ v) / pixels
        v = a @ (b.mT @ v) / pixels
        norm = torch.linalg.vector_norm(v, dim=1, keepdim=True).clamp(min=tiny)
        v = v / norm
    return norm.flatten().sqrt()


def lipschitz_distance(
    student: Sequence[Tensor], teacher: Sequence[Tensor], iterations: int = 1
) -> Tensor:
    r"""Squared differences of the Lipschitz constants along two networks.

    .. math::
        \sum_{k=0}^{K-2} \frac{1}{2^{K-1-k}} \,
        \frac{1}{N} \sum_n (\sigma^{(k)}_{S,n} - \sigma^{(k)}_{T,n})^2

    for K feature maps, shallow to deep; :math:`\sigma^{(k)}` is the
    :func:`retention_norm` of maps k and k + 1. Deeper pairs weigh more.

    Args:
        student: K feature maps ``(N, C_k, H_k, W_k)``.
        teacher: K feature maps of the same batch, constants.
        iterations: Steps of the power iteration.

    Returns:
        Scalar.

    Raises:
        ValueError: Fewer than two feature maps, or not as many on both sides.

    References:
        Shang et al., Lipschitz Continuity Retained Binary Neural Network, ECCV 2022,
        and its code. https://arxiv.org/abs/2207.06540

    Examples:
        >>> one = torch.ones(1, 1, 1, 1)  # constants: 2 and 3 against 1 and 1
        >>> lipschitz_distance([one, 2 * one, 1.5 * one], [one] * 3).item()
        2.25
    """
    if len(student) != len(teacher) or len(student) < 2:
        raise ValueError(
            "Lipschitz constants need the same two or more feature maps of student and "
            f"teacher, got {len(student)} and {len(teacher)}"
        )
    last = len(student) - 1
    total = student[0].new_zeros(())
    for k in range(last):
        ours = retention_norm(student[k], student[k + 1], iterations)
        theirs = retention_norm(teacher[k], teacher[k + 1], iterations)
        total = total + (ours - theirs.detach()).square().mean() / 2 ** (last - k)
    return total
