"""BiBench's overall metrics against values by hand."""

from __future__ import annotations

import math

import pytest

from cmim.suite.bibench import (
    generalization_gap,
    overall,
    relative_accuracy,
    robustness_ratio,
)


def test_the_quadratic_mean_of_means():
    # Means 0.6 and 0.8: sqrt((0.36 + 0.64) / 2) = sqrt(0.5).
    assert overall([[0.5, 0.7], [0.8]]) == pytest.approx(math.sqrt(0.5))
    # Not sqrt of the mean of 0.25, 0.49 and 0.64, nor the plain mean.
    assert overall([[0.5, 0.7], [0.8]]) != pytest.approx(math.sqrt(1.38 / 3))
    assert overall([[1.0], [1.0], [1.0]]) == 1.0
    # It is never below the plain mean.
    assert overall([[0.1], [0.9]]) == pytest.approx(math.sqrt(0.41))


def test_what_is_undefined_does_not_count():
    assert overall([[math.nan, 0.5], [math.nan]]) == pytest.approx(0.5)
    assert math.isnan(overall([[math.nan]]))
    assert math.isnan(overall([]))
    assert math.isnan(relative_accuracy(1.0, 0.0))
    assert math.isnan(relative_accuracy(0.0, 1.0, higher=False))
    for gaps in ((0.0, 1.0), (1.0, 0.0), (1.0, -1.0), (-1.0, -1.0), (math.nan, 1.0)):
        assert math.isnan(robustness_ratio(*gaps))


def test_errors_are_turned_round():
    assert relative_accuracy(0.8, 0.6, higher=False) == pytest.approx(0.75)
    assert generalization_gap(0.6, [0.7, 0.9], higher=False) == pytest.approx(0.2)
    assert generalization_gap(60.0, [50.0, 40.0, 30.0]) == pytest.approx(20.0)
    assert robustness_ratio(20.0, 25.0) == pytest.approx(0.8)
