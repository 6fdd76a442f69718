"""Linear CKA: naive forms, invariances, independence, errors."""

from __future__ import annotations

import numpy as np
import pytest

from cmim.analysis.similarity import linear_cka

BOTH = pytest.mark.parametrize("debiased", [True, False])


def features(samples: int, channels: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(2, 1, size=(samples, channels))


def naive_hsic(k: np.ndarray, other: np.ndarray, debiased: bool) -> float:
    """Song et al., Equation 5, term by term; or the trace of KHLH."""
    n = len(k)
    if not debiased:
        center = np.eye(n) - 1 / n
        return float(np.trace(k @ center @ other @ center))
    k, other = k - np.diag(np.diag(k)), other - np.diag(np.diag(other))
    one = np.ones(n)
    first = np.trace(k @ other)
    second = (one @ k @ one) * (one @ other @ one) / ((n - 1) * (n - 2))
    third = 2 / (n - 2) * (one @ k @ other @ one)
    return float((first + second - third) / (n * (n - 3)))


def naive_cka(x: np.ndarray, y: np.ndarray, debiased: bool) -> float:
    k, other = x @ x.T, y @ y.T
    xy, xx, yy = (
        naive_hsic(a, b, debiased) for a, b in ((k, other), (k, k), (other, other))
    )
    return xy / np.sqrt(xx * yy)


@BOTH
@pytest.mark.parametrize("shape", [(4, 1, 1), (12, 3, 5), (12, 40, 30), (50, 2, 60)])
def test_is_the_naive_form(shape, debiased):
    """Also where the matrix of samples by samples is the smaller way."""
    samples, first, second = shape
    x = features(samples, first)
    y = features(samples, second, 1)
    y[:, 0] += x[:, 0]
    expected = naive_cka(x, y, debiased)
    assert linear_cka(x, y, debiased) == pytest.approx(expected, abs=1e-9)


@BOTH
def test_invariances(debiased):
    x, y = features(30, 4), features(30, 6, 1)
    y[:, :4] += x
    rotation, _ = np.linalg.qr(features(6, 6, 2))
    expected = linear_cka(x, y, debiased)
    assert 0.2 < expected < 0.9
    assert linear_cka(y, x, debiased) == pytest.approx(expected)
    assert linear_cka(x + 7, y - 3, debiased) == pytest.approx(expected)
    assert linear_cka(1e-6 * x, -2e6 * y, debiased) == pytest.approx(expected)
    assert linear_cka(x, y @ rotation, debiased) == pytest.approx(expected)
    order = np.random.default_rng(3).permutation(30)
    assert linear_cka(x[order], y[order][:, ::-1], debiased) == pytest.approx(expected)
    # But not by a scale for each channel, as CCA is.
    scaled = linear_cka(x, y * np.arange(1, 7), debiased)
    assert abs(scaled - expected) > 0.02


@BOTH
def test_same_is_1(debiased):
    x = features(20, 5)
    assert linear_cka(x, 3 * x + 1, debiased) == pytest.approx(1)
    assert linear_cka(x[:, 0], x[:, 0], debiased) == pytest.approx(1)


def test_only_the_debiased_form_sees_that_few_samples_are_independent():
    x, y = features(50, 500), features(50, 500, 1)
    assert linear_cka(x, y) == pytest.approx(0, abs=0.02)
    assert linear_cka(x, y, debiased=False) > 0.85


@BOTH
def test_float32_is_close(debiased):
    x, y = features(40, 8), features(40, 8, 1) + features(40, 8)
    lower = linear_cka(x.astype(np.float32), y.astype(np.float32), debiased)
    assert lower == pytest.approx(linear_cka(x, y, debiased), abs=1e-5)


@BOTH
def test_errors(debiased):
    x = features(10, 3)
    with pytest.raises(ValueError, match="y is constant over its 10 samples"):
        linear_cka(x, np.ones((10, 2)), debiased)
    with pytest.raises(ValueError, match="3 samples are too few; give 4"):
        linear_cka(x[:3], x[:3], debiased)
    with pytest.raises(ValueError, match="x has 9 samples and y 10"):
        linear_cka(x[1:], x, debiased)
    x[0, 0] = np.inf
    with pytest.raises(ValueError, match="x has NaN or infinite values in 1 of 10"):
        linear_cka(x, features(10, 3), debiased)


def test_what_hardly_varies_has_no_unbiased_similarity():
    """The unbiased self-similarity of one value among equal ones is 0."""
    with pytest.raises(ValueError, match=r"x varies in so few .* debiased=False"):
        linear_cka([0, 0, 0, 0, 1], [1, 2, 3, 4, 5])
    with pytest.raises(ValueError, match="y varies in so few"):
        linear_cka([1, 2, 3, 4, 5], [0, 0, 0, 0, 1])
    # (sum of x y, centred)^2 / (sum x^2 sum y^2) = 2^2 / (0.8 * 10)
    assert linear_cka([0, 0, 0, 0, 1], [1, 2, 3, 4, 5], False) == pytest.approx(0.5)


@pytest.mark.parametrize("value", [0.1, -0.99, 1 / 3, 7.7, 1e-20, 1e300])
@pytest.mark.parametrize("count", [7, 10, 1000])
def test_a_constant_is_refused_whatever_its_mean_rounds_to(value, count):
    varying = np.random.default_rng(0).normal(size=(count, 3))
    for pair in (
        (np.full((count, 4), value), varying),
        (varying, np.full(count, value)),
    ):
        for debiased in (True, False):
            with pytest.raises(ValueError, match="is constant over its"):
                linear_cka(*pair, debiased=debiased)


@pytest.mark.parametrize("offset", [0.0, 0.3, 100.0])
@pytest.mark.parametrize("value", [1.0, 0.1, 1e-3])
def test_a_similarity_of_rounding_alone_is_refused(offset, value):
    """What is left of 0 was taken for a self-similarity wherever it was positive."""
    for count in range(4, 30):
        x = np.full(count, offset)
        x[count // 2] += value
        with pytest.raises(ValueError, match="x varies in so few"):
            linear_cka(x, np.random.default_rng(0).normal(size=count))


@BOTH
@pytest.mark.parametrize("size", [1e-300, 1e300, 1.7e308])
def test_numbers_at_the_end_of_the_range_are_compared(debiased, size):
    x = np.array([1.0, -1.0, 0.5, -0.25, 1.0, 0.75])
    y = features(6, 2)
    found = linear_cka(size * x, y, debiased)
    assert found == pytest.approx(linear_cka(x, y, debiased))
    with pytest.raises(ValueError, match="x is constant over its 6 samples"):
        linear_cka(np.full(6, size), y, debiased)
