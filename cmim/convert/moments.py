"""What a layer saw and gave, channel by channel."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cmim.finite import is_finite

# Values of a channel that its median is taken of, and those that are kept.
MOST_VALUES, KEPT_VALUES = 100_000, 128


@dataclass
class Moments:
    """What a full-precision layer saw and gave, channel by channel.

    Attributes:
        median: Of the input, ``(I,)``.
        spread: Mean distance of the input from it, ``(I,)``.
        mean: Of the output, ``(O,)``.
        deviation: Of the output, ``(O,)``.
        sample: Some values of the input, ``(values, I)``.
    """

    median: Tensor
    spread: Tensor
    mean: Tensor
    deviation: Tensor
    sample: Tensor


def moments_of(x: Tensor, out: Tensor, tokens: bool) -> Moments:
    """Moments of a full-precision layer.

    Args:
        x: Its input, channels second, or last for tokens.
        out: Its output, likewise.
        tokens: Channels come last.

    Raises:
        ValueError: Values that are NaN or infinite.
    """
    for values, verb in ((x, "sees"), (out, "gives")):
        if not is_finite(values):
            raise ValueError(
                f"the layer {verb} NaN or infinite values of the pictures that its "
                "thresholds come from; give others, or look for them in its weights"
            )
    given, made = by_channel(x, tokens), by_channel(out, tokens)
    median = balanced_threshold(given)
    spread = (given - median[:, None]).abs().mean(dim=1)
    deviation, mean = torch.std_mean(made, dim=1, correction=0)
    sample = _regular(given, KEPT_VALUES).t().clone()
    return Moments(median, spread, mean, deviation, sample)


def balanced_threshold(values: Tensor) -> Tensor:
    """The value from which on most nearly half of the values lie, row by row.

    That is the median, or behind a ReLU, where it may be 0 with most others, the
    smallest value above it.

    Args:
        values: ``(C, values)``; of many a regular part is looked at.

    Returns:
        ``(C,)``.

    Examples:
        >>> balanced_threshold(torch.tensor([[1.0, 2, 3], [0, 0, 7]])).tolist()
        [2.0, 7.0]
    """
    values = _regular(values, MOST_VALUES)
    median = values.median(dim=1, keepdim=True).values
    above = values > median
    following = torch.where(above, values, torch.inf).min(dim=1).values
    at_median = (values >= median).float().mean(dim=1)
    # An odd count has a value in the middle, which either side may take.
    better = (above.float().mean(dim=1) - 0.5).abs() < (at_median - 0.5).abs() - 1e-6
    return torch.where(better & following.isfinite(), following, median[:, 0])


def by_channel(x: Tensor, tokens: bool) -> Tensor:
    """All values of each channel, ``(C, values)``, float32."""
    return x.movedim(-1 if tokens else 1, 0).flatten(1).float()


def _regular(values: Tensor, most: int) -> Tensor:
    """Of the values of each row every n-th, at most so many."""
    return values[:, :: -(-values.shape[1] // most)]
