"""Samples and their neighbours in the max norm, for estimators of information."""

from __future__ import annotations

import operator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

Floats = NDArray[np.float64]


class Neighbourhoods(NamedTuple):
    """The nearest neighbours of every sample.

    Attributes:
        radius: Distance to the last of them, ``(N,)``.
        offsets: Vectors from the sample to each, ``(N, neighbours, d)``.
    """

    radius: Floats
    offsets: Floats


def as_samples(values: ArrayLike, name: str) -> Floats:
    """A float64 array ``(N, d)`` without NaN.

    Args:
        values: Numbers, ``(N,)`` or ``(N, d)``.
        name: What errors call it.

    Raises:
        ValueError: Another shape, no column, or values that are not finite.

    Examples:
        >>> as_samples([1, 2, 3], "x").shape
        (3, 1)
    """
    samples = np.asarray(values, dtype=np.float64)
    if samples.ndim == 1:
        samples = samples[:, None]
    if samples.ndim != 2 or samples.shape[1] == 0:
        raise ValueError(
            f"{name} has the shape {samples.shape}; give (N, d) or (N,): samples in "
            "rows, flatten the rest"
        )
    wrong = int((~np.isfinite(samples)).any(1).sum())
    if wrong:
        raise ValueError(
            f"{name} has NaN or infinite values in {wrong} of {len(samples)} samples; "
            "leave those samples out, in x and y alike"
        )
    return samples


def as_pair(x: ArrayLike, y: ArrayLike, least: int) -> tuple[Floats, Floats]:
    """Both as :func:`as_samples`, of the same length.

    Args:
        x: First variable, ``(N, dx)`` or ``(N,)``.
        y: Second variable, ``(N, dy)`` or ``(N,)``.
        least: Smallest N that makes sense.

    Raises:
        ValueError: The lengths differ, or there are too few samples.
    """
    first, second = as_samples(x, "x"), as_samples(y, "y")
    if len(first) != len(second):
        raise ValueError(
            f"x has {len(first)} samples and y {len(second)}; row i of both has to be "
            "the same sample"
        )
    if len(first) < least:
        raise ValueError(f"{len(first)} samples are too few; give {least} or more")
    return first, second


def check_neighbours(neighbours: int, least: int = 1) -> None:
    """Refuse a number of neighbours that is no integer from ``least`` on."""
    try:
        # True is an integer to Python, and a switch to whoever writes it.
        whole = (
            least - 1 if isinstance(neighbours, bool) else operator.index(neighbours)
        )
    except TypeError:
        whole = least - 1
    if whole < least:
        raise ValueError(
            f"neighbours is {neighbours!r}; give a whole number, {least} or more"
        )


def nearest(samples: Floats, neighbours: int) -> Neighbourhoods:
    """Find the nearest neighbours of every sample among the others, max norm.

    Args:
        samples: ``(N, d)``.
        neighbours: How many, below N.

    Examples:
        >>> found = nearest(np.array([[0.0], [1.0], [3.0]]), 1)
        >>> found.radius.tolist(), found.offsets[:, 0, 0].tolist()
        ([1.0, 1.0, 2.0], [1.0, -1.0, -2.0])
    """
    ranks = range(1, neighbours + 2)
    _, index = cKDTree(samples).query(samples, ranks, p=np.inf)
    # Of exact copies the tree may name another one first; the distances are the same.
    offsets = samples[index[:, 1:]] - samples[index[:, :1]]
    return Neighbourhoods(np.abs(offsets).max((1, 2)), offsets)


def count_closer(samples: Floats, radius: Floats) -> NDArray[np.int64]:
    """How many samples are strictly closer than the radius, the sample itself included.

    Where the radius is 0: how many are exact copies, itself included.

    Args:
        samples: ``(N, d)``.
        radius: One for each sample, ``(N,)``.

    Examples:
        >>> count_closer(np.array([[0.0], [1.0], [3.0]]), np.array([2.0, 1.0, 0.0]))
        array([2, 1, 1])
    """
    below = np.nextafter(radius, 0)
    return cKDTree(samples).query_ball_point(
        samples, below, p=np.inf, return_length=True
    )
