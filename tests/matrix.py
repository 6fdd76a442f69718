"""Matrices of methods and other options: a part that stands for them, and the rest."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import pytest

# A sign with a fixed scale, learned thresholds in two steps, several bases.
FEW = ("bireal", "reactnet", "abc_net")
FULL, SLOW = pytest.mark.full, pytest.mark.slow


def matrix(
    names: str,
    *axes: Sequence[object],
    costly: Sequence[object] = (),
    rest: pytest.MarkDecorator = FULL,
) -> pytest.MarkDecorator:
    """Parametrize over all combinations, most of them marked ``full``.

    Without the mark are every method with the first value of all other axes, and every
    combination of the methods in :data:`FEW`. So each value and each method is tested
    by default, and a defect has to hide in a pair of them.

    Args:
        names: Arguments of the test, separated by commas; the method comes first.
        axes: Their values, as many axes as names.
        rest: Mark of what does not stand for all.
        costly: Values that ``make test`` alone tests, with the first two of
            :data:`FEW`; the rest is marked ``slow``.
    """
    usual = tuple(axis[0] for axis in axes[1:])

    def marks(case: tuple) -> Sequence[pytest.MarkDecorator]:
        name = getattr(case[0], "name", case[0])
        if not any(value in costly for value in case[1:]):
            return () if stands_for_all(case, usual) else (rest,)
        return (FULL,) if name in FEW[:2] else (SLOW,)

    cases = [pytest.param(*case, marks=marks(case)) for case in product(*axes)]
    return pytest.mark.parametrize(names.split(","), cases)


def stands_for_all(case: tuple, usual: tuple) -> bool:
    """Whether a combination belongs to the default run."""
    return getattr(case[0], "name", case[0]) in FEW or case[1:] == usual


def few_first(names: Sequence[str], *more: str) -> list:
    """Names for one argument: those of :data:`FEW` and ``more``, the rest ``full``."""
    known = {*FEW, *more}
    return [pytest.param(n, marks=() if n in known else FULL) for n in names]
