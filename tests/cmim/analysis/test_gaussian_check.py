"""Known values that the estimators are held against, the table and the picture."""

from __future__ import annotations

import math

import numpy as np
import pytest
from matplotlib.image import imread
from scipy import integrate

from cmim.analysis.gaussian_check import (
    ESTIMATORS,
    Case,
    check_estimators,
    format_checks,
    gaussian_case,
    known_cases,
    noisy_code_case,
    sign_case,
    stairs_case,
)
from cmim.analysis.gaussian_picture import draw_checks


@pytest.mark.parametrize(("dims", "rho"), [(1, 0.5), (3, -0.8)])
def test_truth_of_gaussians_is_that_of_their_covariance(dims, rho):
    """I = -1/2 log det of the correlation matrix, which the samples have too."""
    case = gaussian_case(dims, rho)
    matrix = np.kron([[1, rho], [rho, 1]], np.eye(dims))
    assert case.truth == pytest.approx(-np.linalg.slogdet(matrix)[1] / 2)
    x, y = case.draw(np.random.default_rng(0), 20_000)
    assert x.shape == y.shape == (20_000, dims)
    np.testing.assert_allclose(np.cov(np.hstack([x, y]).T), matrix, atol=0.04)


@pytest.mark.parametrize("levels", [1, 2, 5])
def test_truth_of_the_stairs_by_integration(levels):
    """h(y) - h(y | x) with the density of y in pieces of length 1."""
    near = [sum(0 <= piece - x < 2 for x in range(levels)) for piece in range(99)]
    density = [count / (2 * levels) for count in near if count]
    assert sum(density) == pytest.approx(1)
    entropy = -sum(p * math.log(p) for p in density)
    assert stairs_case(levels).truth == pytest.approx(entropy - math.log(2))


def test_truth_of_a_noisy_code():
    """KL divergence of the table from the product of its margins."""
    cells = [0.45, 0.05, 0.05, 0.45]
    expected = sum(p * math.log(p / 0.25) for p in cells)
    assert noisy_code_case(0.1).truth == pytest.approx(expected)


def test_truth_of_the_sign_by_integration():
    """Of x the sign leaves half of the density."""

    def part(x: float) -> float:
        density = math.exp(-x * x / 2) / math.sqrt(2 * math.pi)
        return density * math.log(2 * density / density)

    whole = 2 * integrate.quad(part, 0, 20)[0]
    assert sign_case().truth == pytest.approx(whole)


@pytest.mark.parametrize("case", known_cases(), ids=lambda c: f"{c.name} {c.dims}")
def test_samples_are_replayable_and_estimators_exist(case):
    first, second = (case.draw(np.random.default_rng(4), 50) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
    assert set(case.estimators) <= set(ESTIMATORS)


def test_bias_and_spread_by_hand(monkeypatch):
    """An 'estimator' that reads the first sample: 1, 2, 4 with a truth of 2."""
    values = iter([1.0, 2.0, 4.0])
    monkeypatch.setitem(ESTIMATORS, "first", lambda x, y: float(x[0, 0]))
    case = Case(
        "by hand",
        1,
        2.0,
        lambda random, samples: (np.full((samples, 1), next(values)), np.ones(1)),
        ("first",),
    )
    (row,) = check_estimators(5, 3, [case])
    assert row["mean"] == pytest.approx(7 / 3)
    assert row["bias"] == pytest.approx(1 / 3)
    assert row["spread"] == pytest.approx(math.sqrt(7 / 3))


def test_mixed_cases_are_estimated_well():
    cases = [stairs_case(5), sign_case(), noisy_code_case(0.1)]
    for row in check_estimators(1000, 3, cases):
        assert row["estimator"] == "mixed_ksg"
        assert abs(row["bias"]) < 0.04


def test_seed_decides():
    cases = [gaussian_case(1, 0.5)]
    first, again, other = (check_estimators(40, 2, cases, seed=s) for s in (0, 0, 1))
    assert first == again != other


def test_errors():
    with pytest.raises(ValueError, match="repeats is 1; a spread needs 2"):
        check_estimators(50, 1)
    with pytest.raises(ValueError, match="rho is 1"):
        gaussian_case(1, 1)
    with pytest.raises(ValueError, match="10 samples are too few"):
        check_estimators(10, 2)


def test_table_names_a_case_once_and_its_units():
    rows = check_estimators(60, 2, [gaussian_case(1, 0.6), gaussian_case(2, 0.6)])
    lines = format_checks(rows).splitlines()
    assert lines[0].split() == [
        "nats",
        "dims",
        "truth",
        "estimator",
        *lines[0].split()[4:],
    ]
    assert len(lines) == 7
    assert [line.startswith("Gaussian, rho 0.6") for line in lines[1:]] == [
        *[True, False, False] * 2
    ]
    assert len({len(line) for line in lines}) == 1
    assert "0.223" in lines[1]
    assert "0.446" in lines[4]


@pytest.mark.full
def test_picture_shows_the_error(tmp_path):
    rows = check_estimators(60, 2, [gaussian_case(1, 0.6), noisy_code_case(0.1)])
    good, bad = tmp_path / "new" / "good.png", tmp_path / "bad.png"
    draw_checks(good, rows, "a test")
    draw_checks(bad, [{**row, "bias": -20.0} for row in rows], "a test")
    pictures = [imread(path) for path in (good, bad)]
    assert pictures[0].shape == pictures[1].shape
    assert (pictures[0] != pictures[1]).any()
    with pytest.raises(ValueError, match="nothing to draw"):
        draw_checks(good, [], "")
