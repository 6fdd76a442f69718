"""Estimators of mutual information: naive loops, known values, invariances, errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import digamma

from cmim.analysis.mutual_information import (
    RepeatedValuesError,
    ksg,
    lnc,
    lnc_alpha,
    mixed_ksg,
)

EVERY = pytest.mark.parametrize("estimate", [ksg, mixed_ksg, lnc])


def gaussians(rho: float, samples: int = 400, dims: int = 1, seed: int = 0):
    random = np.random.default_rng(seed)
    x, noise = random.normal(size=(2, samples, dims))
    return x, rho * x + math.sqrt(1 - rho**2) * noise


def truth(rho: float, dims: int = 1) -> float:
    return -dims / 2 * math.log(1 - rho**2)


def distances(samples: np.ndarray) -> np.ndarray:
    return np.abs(samples[:, None] - samples[None]).max(-1)


def naive_ksg(x, y, k):
    both = distances(np.hstack([x, y]))
    total = 0.0
    for i in range(len(x)):
        radius = sorted(both[i])[k]
        n_x, n_y = ((distances(part)[i] < radius).sum() - 1 for part in (x, y))
        total += digamma(n_x + 1) + digamma(n_y + 1)
    return digamma(k) + digamma(len(x)) - total / len(x)


def naive_mixed(x, y, k):
    both = distances(np.hstack([x, y]))
    total = 0.0
    for i in range(len(x)):
        radius = sorted(both[i])[k]
        if radius == 0:
            ties = (both[i] == 0).sum()
            n_x, n_y = ((distances(part)[i] == 0).sum() for part in (x, y))
        else:
            ties = k
            n_x, n_y = ((distances(part)[i] < radius).sum() for part in (x, y))
        total += digamma(ties) + math.log(len(x)) - digamma(n_x) - digamma(n_y)
    return total / len(x)


def naive_lnc(x, y, k, alpha):
    """The paper's procedure, sample by sample, with the covariance's eigenvectors."""
    points = np.hstack([x, y])
    both, width = distances(points), x.shape[1]
    total = digamma(k) - 1 / k + digamma(len(x))
    for i in range(len(x)):
        near = points[np.argsort(both[i], kind="stable")[1 : k + 1]] - points[i]
        sides = np.abs(near).max(0)
        for part, radius in ((x, sides[:width].max()), (y, sides[width:].max())):
            total -= digamma((distances(part)[i] < radius).sum()) / len(x)
        _, axes = np.linalg.eig(near.T @ near / k)
        thin = np.prod([np.abs(near @ axis).max() for axis in axes.T])
        if thin < alpha * np.prod(sides):
            total += math.log(np.prod(sides) / thin) / len(x)
    return total


@pytest.mark.parametrize(("dims", "k"), [(1, 1), (1, 5), (2, 3)])
def test_ksg_is_the_naive_loop(dims, k):
    x, y = gaussians(0.8, 60, dims)
    assert ksg(x, y, k) == pytest.approx(naive_ksg(x, y, k), abs=1e-12)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_mixed_ksg_is_the_naive_loop(k):
    random = np.random.default_rng(0)
    x = np.maximum(random.normal(size=(60, 2)), 0)
    for y in (x[:, :1] > 0.5, np.round(x[:, :1] + 1, 1), random.normal(size=(60, 1))):
        y = y.astype(float)
        assert mixed_ksg(x, y, k) == pytest.approx(naive_mixed(x, y, k), abs=1e-12)


@pytest.mark.parametrize(("dims", "k", "alpha"), [(1, 5, 0.3), (1, 9, 1), (2, 9, 0.5)])
def test_lnc_is_the_naive_loop(dims, k, alpha):
    x, y = gaussians(0.9999, 60, dims)
    expected = naive_lnc(x, y, k, alpha)
    assert lnc(x, y, k, alpha) == pytest.approx(expected, abs=1e-9)
    assert expected > lnc(x, y, k, alpha=0) + 0.05


def test_ksg_by_hand():
    """Neighbours are 4, 4, 2, 2 away; closer in x 1, 2, 0, 0; in y 2, 1, 2, 1.

    psi(n) - psi(1) is 0, 1, 3/2, 11/6 for n from 1 on, and the psi(1) cancel.
    """
    x, y = [0, 1, 4, 6], [0, 5, 1, 2.5]
    closer_x, closer_y = 1 + 3 / 2, 3 / 2 + 1 + 3 / 2 + 1
    assert ksg(x, y, 1) == pytest.approx(11 / 6 - (closer_x + closer_y) / 4)


def test_mixed_ksg_by_hand():
    """A code of two values, twice each: psi(2) + log 4 - 2 psi(2)."""
    expected = math.log(4) - digamma(2)
    assert mixed_ksg([0, 0, 1, 1], [3, 3, 3.5, 3.5], 1) == pytest.approx(expected)


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9, 0.99])
@EVERY
def test_gaussians(estimate, rho):
    """The spread of one estimate from 1000 samples is 0.02 to 0.04 nats."""
    x, y = gaussians(rho, 1000)
    assert estimate(x, y) == pytest.approx(truth(rho), abs=0.1)


@pytest.mark.parametrize("dims", [1, 2, 5])
def test_only_lnc_holds_where_dependence_is_strong(dims):
    rho = 1 - 1e-8
    x, y = gaussians(rho, 500, dims)
    known = truth(rho, dims)
    assert lnc(x, y) == pytest.approx(known, rel=0.03)
    assert ksg(x, y) < known - 3
    assert mixed_ksg(x, y) < known - 3


def test_code_of_a_normal_variable_keeps_log_2():
    x, _ = gaussians(0.0, 2000)
    assert mixed_ksg(x, np.where(x >= 0, 1, -1)) == pytest.approx(math.log(2), abs=0.01)


def test_mixed_ksg_without_ties_is_ksg():
    x, y = gaussians(0.7, 300, 2)
    more = math.log(300) - digamma(300)
    assert mixed_ksg(x, y, 4) == pytest.approx(ksg(x, y, 4) + more, abs=1e-12)


@EVERY
def test_invariances(estimate):
    x, y = gaussians(0.99, 300, 2)
    expected = estimate(x, y)
    assert estimate(y, x) == pytest.approx(expected, abs=1e-9)
    assert estimate(x + 8, y - 4) == pytest.approx(expected, abs=1e-9)
    assert estimate(4 * x, 4 * y) == pytest.approx(expected, abs=1e-9)
    assert estimate(-x, y[:, ::-1]) == pytest.approx(expected, abs=1e-9)
    order = np.random.default_rng(1).permutation(300)
    assert estimate(x[order], y[order]) == pytest.approx(expected, abs=1e-9)


@EVERY
def test_permuted_samples_share_nothing(estimate):
    x, y = gaussians(0.99, 1000)
    assert estimate(x, y) > 1.5
    shuffled = np.random.default_rng(1).permutation(y)
    assert estimate(x, shuffled) == pytest.approx(0, abs=0.1)


@EVERY
def test_one_column_and_lower_precision(estimate):
    x, y = gaussians(0.9, 200)
    expected = estimate(x, y)
    assert estimate(x[:, 0], y[:, 0]) == expected
    lower = estimate(x.astype(np.float32), y.astype(np.float32))
    assert lower == pytest.approx(expected, abs=0.01)


def test_constant_carries_nothing():
    x, _ = gaussians(0.0, 100)
    assert ksg(np.ones(100), x) == pytest.approx(0, abs=1e-12)
    assert mixed_ksg(np.ones(100), x) == pytest.approx(0, abs=0.006)
    assert mixed_ksg(np.ones(100), np.ones(100)) == pytest.approx(0, abs=0.006)


def test_lnc_is_infinite_for_a_linear_map():
    x, _ = gaussians(0.0, 100)
    assert lnc(x, x) == math.inf
    assert lnc(x, 3 * x - 1) == math.inf


@pytest.mark.parametrize("estimate", [ksg, lnc])
def test_copies_are_refused_where_values_must_be_continuous(estimate):
    x, y = gaussians(0.0, 100)
    codes = np.where(x > 0, 1.0, -1.0)
    said = r"100 of 100 samples share .* use mixed_ksg"
    with pytest.raises(RepeatedValuesError, match=said):
        estimate(codes, codes)
    # Fewer copies than neighbours are no harm.
    x[1], y[1] = x[0], y[0]
    assert math.isfinite(estimate(x, y))


@EVERY
def test_errors_name_what_is_wrong(estimate):
    x, y = gaussians(0.5, 50)
    with pytest.raises(ValueError, match="x has 49 samples and y 50"):
        estimate(x[1:], y)
    with pytest.raises(ValueError, match="too few"):
        estimate(x[:3], y[:3])
    with pytest.raises(ValueError, match="too few; give 51"):
        estimate(x, y, neighbours=50)
    for wrong in (0, 2.5, 2.0, float("nan"), "3", True):
        with pytest.raises(ValueError, match="give a whole number"):
            estimate(x, y, neighbours=wrong)
    with pytest.raises(ValueError, match=r"x has the shape \(50, 1, 1\)"):
        estimate(x[:, None], y)
    y[3] = np.nan
    with pytest.raises(ValueError, match="y has NaN or infinite values in 1 of 50"):
        estimate(x, y)


def test_lnc_refuses_an_alpha_beyond_1_and_few_neighbours():
    x, y = gaussians(0.5, 50)
    with pytest.raises(ValueError, match=r"alpha is 1\.5"):
        lnc(x, y, alpha=1.5)
    with pytest.raises(ValueError, match="3 or more"):
        lnc(x, y, neighbours=2)


def test_alpha_takes_five_uniform_neighbourhoods_of_a_thousand_for_thin():
    random = np.random.default_rng(5)
    offsets = random.uniform(-1, 1, (20_000, 5, 2))
    thin = np.zeros(len(offsets))
    _, axes = np.linalg.eigh(np.einsum("nki,nkj->nij", offsets, offsets))
    for column in range(2):
        along = np.einsum("nki,ni->nk", offsets, axes[:, :, column])
        thin += np.log(np.abs(along).max(1))
    boxes = np.log(np.abs(offsets).max(1)).sum(1)
    share = (np.exp(thin - boxes) < lnc_alpha(5, 2)).mean()
    assert share == pytest.approx(5e-3, abs=2e-3)
    # More neighbours fill a box better; more dimensions leave it emptier.
    assert lnc_alpha(5, 2) < lnc_alpha(10, 2) < lnc_alpha(20, 2) < 1
    assert lnc_alpha(10, 3) < lnc_alpha(10, 2)
