r"""Half-wave Gaussian quantization: levels of a half-Gaussian and their surrogates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import torch
from torch import Tensor

SURROGATES = ("clipped", "vanilla", "log_tailed")


def _moments(low: float, high: float) -> tuple[float, float]:
    """Probability and first moment of ``|N(0, 1)|`` between two bounds."""
    share = math.erf(high / math.sqrt(2)) - math.erf(low / math.sqrt(2))
    density = math.exp(-(low**2) / 2) - math.exp(-(high**2) / 2)
    return share, math.sqrt(2 / math.pi) * density


@cache
def half_gaussian_levels(count: int, uniform: bool = False) -> tuple[float, ...]:
    r"""Levels with the least mean squared error for a Gaussian behind a ReLU.

    Lloyd's iteration: thresholds halfway between levels (the first is 0), each level
    the mean of what lies between its thresholds. Uniform levels ``i d`` are iterated
    with the best step for the thresholds, ``d = E[i x] / E[i^2]``.

    Args:
        count: Positive levels, at least 1; the level 0 of ``x <= 0`` comes on top.
        uniform: Levels are multiples of one step.

    References:
        Cai et al., HWGQ, CVPR 2017. https://arxiv.org/abs/1702.00953
        Lloyd, Least Squares Quantization in PCM, IEEE Trans. Inf. Theory 1982.

    Examples:
        >>> half_gaussian_levels(1)[0] == math.sqrt(2 / math.pi)
        True
        >>> [round(level, 3) for level in half_gaussian_levels(2)]
        [0.453, 1.51]
    """
    levels = [2 * i / count for i in range(1, count + 1)]
    change = math.inf
    while change > 1e-12:
        cuts = [0.0, *((a + b) / 2 for a, b in pairwise(levels))]
        cells = [_moments(*cell) for cell in zip(cuts, [*cuts[1:], 40.0], strict=True)]
        if uniform:
            mean = sum(i * moment for i, (_, moment) in enumerate(cells, 1))
            step = mean / sum(i**2 * share for i, (share, _) in enumerate(cells, 1))
            updated = [i * step for i in range(1, count + 1)]
        else:
            updated = [moment / share for share, moment in cells]
        change = max(abs(a - b) for a, b in zip(levels, updated, strict=True))
        levels = updated
    return tuple(levels)


def half_wave_steps(
    levels: tuple[float, ...], dtype: torch.dtype = torch.float32
) -> list[tuple[float, float]]:
    """Pairs (threshold, increment): the quantizer adds an increment from each on.

    The first threshold is the smallest normal float32, so that both zeros give 0; in
    float16, where that is 0 itself, the smallest positive number.

    Args:
        levels: Positive, rising.
        dtype: Of what is compared with the thresholds.

    Examples:
        >>> half_wave_steps((0.5, 1.5))[1]
        (1.0, 1.0)
    """
    cuts = [(a + b) / 2 for a, b in pairwise(levels)]
    increments = [b - a for a, b in pairwise((0.0, *levels))]
    info = torch.finfo(dtype)
    first = max(torch.finfo(torch.float32).tiny, info.tiny * info.eps)
    return list(zip([first, *cuts], increments, strict=True))


def sum_of_steps(
    x: Tensor, steps: Sequence[tuple[Tensor | float, Tensor | float]]
) -> Tensor:
    """Sum of the increments whose threshold x reaches; NaN stays NaN, no gradient.

    Args:
        x: Floating tensor.
        steps: Pairs of a threshold, broadcastable to x, and an increment.

    Examples:
        >>> x = torch.tensor([0.5, 1.0, 3.0])
        >>> sum_of_steps(x, [(1.0, 0.5), (2.0, 1.0)]).tolist()
        [0.0, 0.5, 1.5]
    """
    x = x.detach()
    total = torch.zeros_like(x)
    for threshold, increment in steps:
        total = torch.where(x >= threshold, total + increment, total)
    return torch.where(torch.isnan(x), x, total)


class _HalfWave(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, codes: Tensor, largest: float, surrogate: str):
        ctx.largest = largest
        ctx.tail = surrogate == "log_tailed"
        # One byte an element where the slope is 0 or 1.
        slope = (x > 0) & (x <= largest) if surrogate == "clipped" else x > 0
        ctx.save_for_backward(x if ctx.tail else slope)
        # Autograd refuses an input that is returned as it came.
        return codes.view_as(codes)

    @staticmethod
    def backward(ctx, grad: Tensor):
        (kept,) = ctx.saved_tensors
        if not ctx.tail:
            return grad * kept, None, None, None
        distance = (kept - (ctx.largest - 1)).clamp_(min=1)
        return grad * (kept > 0) / distance, None, None, None


def half_wave(x: Tensor, codes: Tensor, largest: float, surrogate: str) -> Tensor:
    r"""The codes, with the gradient of a rectifier of x.

    .. math::
        \frac{\partial b}{\partial x} :=
        \begin{cases}
        \mathbf{1}\{0 < x \le q\} & \text{clipped} \\
        \mathbf{1}\{x > 0\} & \text{vanilla} \\
        \mathbf{1}\{x > 0\} / \max(1, x - (q - 1)) & \text{log-tailed}
        \end{cases}

    Args:
        x: Floating tensor of any shape.
        codes: Quantized x, same shape.
        largest: The largest level q.
        surrogate: One of ``SURROGATES``.

    References:
        Cai et al., HWGQ, CVPR 2017. https://arxiv.org/abs/1702.00953

    Examples:
        >>> x = torch.tensor([-1.0, 1.0, 3.0], requires_grad=True)
        >>> y = half_wave(x, torch.tensor([0.0, 1.0, 2.0]), 2.0, "log_tailed")
        >>> y.sum().backward()
        >>> y.tolist(), x.grad.tolist()
        ([0.0, 1.0, 2.0], [0.0, 1.0, 0.5])
    """
    return _HalfWave.apply(x, codes, largest, surrogate)
