"""What repetitions say, of seeds and of test images."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

LEVEL = 0.95
# Fewer pairs have no interval.
FEWEST = 3


@dataclass(frozen=True)
class Spread:
    """Figures of several seeds.

    Attributes:
        mean: Of the seeds.
        deviation: Of the seeds, with n - 1; NaN for one.
        count: Seeds.
    """

    mean: float
    deviation: float
    count: int


def spread_of(values: Sequence[float]) -> Spread:
    """Mean and deviation of the figures of several seeds.

    Examples:
        >>> spread_of([1.0, 3.0])
        Spread(mean=2.0, deviation=1.414..., count=2)
    """
    many = len(values) > 1
    deviation = float(np.std(values, ddof=1)) if many else math.nan
    return Spread(float(np.mean(values)), deviation, len(values))


@dataclass(frozen=True)
class Gain:
    """Differences to the baseline of the same seed.

    Attributes:
        mean: Of the differences.
        low: Lower end of the 95 % interval (BCa bootstrap over seeds; of one seed over
            test images, where the runs have kept their sums); NaN without one.
        high: Its upper end.
        p: Of the two-sided permutation test of signs; NaN below three seeds. With n
            seeds it cannot be below 2 / 2^n.
        count: Seeds that both have.
    """

    mean: float
    low: float
    high: float
    p: float
    count: int

    @property
    def words(self) -> str:
        """What may be said of it: by the test, since intervals of few seeds are narrow.

        Below six seeds it can decide nothing.

        Examples:
            >>> gain_of({0: 1.0, 1: 2.0}, {0: 0.5, 1: 2.5}).words
            'two seeds: no interval'
        """
        if self.count < FEWEST:
            names = {0: "no seed in common", 1: "one seed", 2: "two seeds"}
            if not self.count:
                return names[0]
            known = "no interval" if math.isnan(self.low) else "interval over images"
            return f"{names[self.count]}: {known}"
        if not self.p <= 1 - LEVEL:
            return f"within noise (p {self.p:.2g})"
        return f"{'higher' if self.mean > 0 else 'lower'} (p {self.p:.2g})"


def gain_of(figures: Mapping[int, float], baseline: Mapping[int, float]) -> Gain:
    """The gain over a baseline, paired by seed.

    Args:
        figures: By seed.
        baseline: By seed.

    Examples:
        >>> gain = gain_of({0: 2.0, 1: 3.1, 2: 4.2}, {0: 1.0, 1: 2.0, 2: 3.0})
        >>> round(gain.mean, 3), gain.low <= gain.mean <= gain.high, gain.p
        (1.1, True, 0.25)
    """
    seeds = sorted(set(figures) & set(baseline))
    differences = np.array([figures[s] - baseline[s] for s in seeds])
    mean = float(differences.mean()) if len(seeds) else math.nan
    if len(seeds) < FEWEST:
        return Gain(mean, math.nan, math.nan, math.nan, len(seeds))
    test = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=np.inf
        if len(seeds) <= 12 else 9999, random_state=np.random.default_rng(0),
    )  # fmt: skip
    low, high = _interval(differences)
    return Gain(mean, low, high, float(test.pvalue), len(seeds))


def _interval(differences: np.ndarray) -> tuple[float, float]:
    """BCa bootstrap over seeds; of equal differences the point itself."""
    if np.ptp(differences) == 0:
        return float(differences[0]), float(differences[0])
    found = stats.bootstrap(
        (differences,), np.mean, confidence_level=LEVEL, method="BCa",
        random_state=np.random.default_rng(0),
    )  # fmt: skip
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def gain_over_images(
    sums: NDArray, baseline: NDArray, figure: Callable[[Tensor], Tensor]
) -> tuple[float, float]:
    """The 95 % interval of a difference of two runs, had other images been drawn.

    Both runs see the same images in each draw, see :func:`interval_over_images`.

    Args:
        sums: Those of each image.
        baseline: Those of the baseline, of the same images.
        figure: See :func:`interval_over_images`.

    Returns:
        Both ends; NaN where the images are not the same number.

    Shape:
        sums and baseline ``(images, *)``.

    Examples:
        >>> sums = np.array([[1.0, value] for value in (1, 2, 3, 4, 5)])
        >>> ends = gain_over_images(2 * sums, sums, lambda s: s[..., 1])
        >>> gain_over_images(sums, sums, lambda s: s[..., 1]), ends[0] > 0
        ((0.0, 0.0), True)
    """
    if sums.shape != baseline.shape:
        return math.nan, math.nan
    if np.array_equal(sums, baseline):
        return 0.0, 0.0

    def difference(both: Tensor) -> Tensor:
        figures = figure(both)
        return figures[..., 0] - figures[..., 1]

    return interval_over_images(np.stack([sums, baseline], axis=1), difference)


def interval_over_images(
    sums: NDArray, figure: Callable[[Tensor], Tensor]
) -> tuple[float, float]:
    """The 95 % interval of a figure of one run, had other test images been drawn.

    BCa bootstrap over images, whose sums are pooled in each draw. It says nothing of
    what another seed of the training would give, and takes images for independent,
    which frames of one scene are not.

    Args:
        sums: Those of each image.
        figure: Of pooled sums, any leading axes: a task's
            :attr:`~cmim.task.Task.of_sums`.

    Returns:
        Both ends; NaN below three images, or where a draw has no figure.

    Shape:
        sums ``(images, *)``.

    References:
        Efron, Better Bootstrap Confidence Intervals, JASA 1987.

    Examples:
        Means of five numbers from 1 to 5:

        >>> sums = np.array([[1.0, value] for value in (1, 2, 3, 4, 5)])
        >>> ends = interval_over_images(sums, lambda s: s[..., 1] / s[..., 0])
        >>> [round(end, 1) for end in ends]
        [1.8, 4.2]
    """
    count = len(sums)
    if count < FEWEST:
        return math.nan, math.nan
    flat = sums.reshape(count, -1).astype(np.float64)
    shape = sums.shape[1:]

    def of_draws(drawn: NDArray, axis: int = -1) -> NDArray:
        places = np.moveaxis(drawn, axis, -1)
        rows = places.reshape(-1, places.shape[-1]).astype(np.int64)
        # How often each image was drawn: one product pools all draws.
        beginning = count * np.arange(len(rows))[:, None]
        often = np.bincount((rows + beginning).ravel(), minlength=count * len(rows))
        pooled = often.reshape(len(rows), count).astype(np.float64) @ flat
        found = figure(torch.from_numpy(pooled).reshape(-1, *shape)).numpy()
        return found.reshape(places.shape[:-1])

    if (flat == flat[0]).all():
        only = float(of_draws(np.arange(count)))
        return only, only
    with warnings.catch_warnings():
        # That there is no interval is said by NaN.
        warnings.simplefilter("ignore")
        found = stats.bootstrap(
            (np.arange(count),), of_draws, confidence_level=LEVEL, method="BCa",
            n_resamples=9999, batch=1000, vectorized=True,
            random_state=np.random.default_rng(0),
        )  # fmt: skip
    return float(found.confidence_interval.low), float(found.confidence_interval.high)
