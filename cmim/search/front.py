"""Which of many networks no other one beats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def front_of(points: Sequence[tuple[float, float]]) -> list[int]:
    """Places of the points that no other one beats, the cheapest first.

    A point beats another if it costs no more and has no less, and is better in one of
    the two. Of equal points the first stays.

    Args:
        points: Cost, of which less is better, and worth, of which more is.

    Examples:
        >>> front_of([(2.0, 5.0), (1.0, 3.0), (3.0, 4.0), (2.0, 5.0)])
        [1, 0]
    """
    order = sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1], i))
    kept: list[int] = []
    for i in order:
        if not kept or points[i][1] > points[kept[-1]][1]:
            kept.append(i)
    return kept


def spread(items: Sequence[T], count: int) -> list[T]:
    """Some of a row at even distances, with the first and the last.

    Args:
        items: In order.
        count: How many; all when there are no more.

    Examples:
        >>> spread("abcdefg", 3)
        ['a', 'd', 'g']
        >>> spread("abc", 1)
        ['b']
    """
    if count >= len(items):
        return list(items)
    if count == 1:
        return [items[len(items) // 2]]
    last = len(items) - 1
    return [items[round(k * last / (count - 1))] for k in range(count)]
