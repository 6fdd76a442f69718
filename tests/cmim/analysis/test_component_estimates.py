"""Nearest-neighbour estimates of leading components, with known answers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from cmim.analysis.component_estimates import (
    component_estimates,
    component_information,
    label_information,
    leading_components,
    principal_components,
)

ROWS = 1024


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_components_are_those_of_the_covariance():
    x = draw(200, 5) @ draw(5, 5, seed=1)
    found = principal_components(x, 3).numpy()
    centred = (x - x.mean(0)).double().numpy()
    axes = np.linalg.svd(centred, full_matrices=False)[2][:3]
    expected = centred @ axes.T
    expected /= expected.std(0)
    signs = np.sign((found * expected).sum(0))
    np.testing.assert_allclose(found, expected * signs, atol=1e-5)
    np.testing.assert_allclose(np.cov(found.T, bias=True), np.eye(3), atol=1e-9)


def test_equal_rows_stay_exactly_equal():
    """Else codes have no ties, and the estimate for two independent ones is 0.7 bit."""
    kinds = draw(12, 256).sign() * 0.37
    place = torch.randint(12, (4099,), generator=torch.Generator().manual_seed(0))
    found = principal_components(kinds[place])
    for kind in range(12):
        assert (found[place == kind] == found[place == kind][0]).all()
    other = draw(12, 256, seed=1).sign()[place.flip(0)]
    assert shared_bits(kinds[place], other) == pytest.approx(0, abs=0.05)


def test_components_of_flat_features():
    assert principal_components(torch.ones(7, 3)).shape == (7, 0)
    line = torch.arange(7.0)[:, None] * torch.tensor([1.0, -2.0])
    assert principal_components(line).shape == (7, 1)
    flat = leading_components(torch.ones(9, 2))
    other = leading_components(draw(9, 2))
    assert component_information(flat, other) is None
    for pair in ((flat, other), (other, flat)):
        assert component_estimates(*pair) == (None, None, None)


def shared_bits(x: torch.Tensor, y: torch.Tensor) -> float | None:
    return component_information(leading_components(x), leading_components(y))


def test_components_are_found_in_all_rows_and_returned_for_some():
    x = draw(4000, 5) * torch.tensor([1.0, 5, 3, 2, 1])
    every = torch.arange(1500) * 4000 // 1500
    assert torch.equal(leading_components(x), principal_components(x)[every])


def test_estimate_of_two_gaussians():
    x, noise = draw(ROWS, 1), draw(ROWS, 1, seed=1)
    for rho in (0.0, 0.6, 0.9):
        y = rho * x + math.sqrt(1 - rho**2) * noise
        truth = -0.5 * math.log2(1 - rho**2)
        assert shared_bits(x, y) == pytest.approx(truth, abs=0.1)


def test_estimate_of_signs():
    """The sign of a symmetric variable has one bit, all of it shared."""
    x = draw(ROWS, 1)
    assert shared_bits(x.sign(), x) == pytest.approx(1, abs=0.05)
    assert shared_bits(x.sign(), draw(ROWS, 1, seed=1)) < 0.05


def test_label_that_is_known_from_the_feature():
    labels = torch.arange(ROWS) % 4
    x = labels[:, None] * 10.0 + draw(ROWS, 1)
    assert label_information(x, labels.double(), False) == pytest.approx(2, abs=0.05)
    # Names of classes are no quantity: any numbers give the same figure.
    names = torch.tensor([39.0, 1.0, 0.0, 2.0]).double()[labels]
    assert label_information(x, names, False) == pytest.approx(2, abs=0.05)
    assert abs(label_information(draw(ROWS, 1), labels.double(), False)) < 0.1


def test_unknown_labels_and_rare_classes_take_no_part():
    labels = (torch.arange(ROWS) % 2).double()
    x = labels[:, None].float() * 10 + draw(ROWS, 1)
    expected = label_information(x, labels, False)
    more = torch.cat([x, 99 * draw(50, 1, seed=3)])
    unknown = torch.full((50,), torch.nan, dtype=torch.double)
    assert label_information(more, torch.cat([labels, unknown]), False) == expected
    rare = torch.cat([labels, unknown[:46], torch.arange(4).double() + 5])
    assert label_information(more, rare, False) == expected
    assert label_information(x, torch.full_like(labels, torch.nan), False) is None
    assert label_information(x, torch.zeros_like(labels), False) is None


def test_depth_is_compared_by_its_logarithm():
    z, noise = draw(ROWS, 1), draw(ROWS, 1, seed=1)
    depth = (0.5 * (0.9 * z + math.sqrt(0.19) * noise)).exp()[:, 0].double()
    truth = -0.5 * math.log2(0.19)
    found = label_information(z, depth, True)
    assert found == pytest.approx(truth, abs=0.1)
    # Units and powers shift and scale a logarithm, which changes no distance.
    assert label_information(z, 100 * depth, True) == pytest.approx(found, abs=1e-9)
    assert label_information(z, depth**4, True) == pytest.approx(found, abs=1e-9)


# Bits by which KSG and LNC miss the truth: means of 8 other samples of 1500 rows, which
# scatter around it with a standard deviation of 0.1 or less.
BIASES = {
    (1, 0.0): (0.01, 0.02),
    (1, 0.9): (0.03, 0.04),
    (2, 0.9): (-0.01, -0.03),
    (3, 0.0): (-0.01, 0.10),
    (3, 0.9): (-0.38, -0.42),
    (3, 0.99): (-1.99, -0.68),
    (1, 1 - 1e-8): (-4.10, 0.01),
    (2, 1 - 1e-8): (-16.84, -0.08),
    (3, 1 - 1e-8): (-29.63, -0.34),
}


@pytest.mark.parametrize(("dims", "rho"), BIASES, ids=str)
def test_three_estimates_of_gaussians(dims, rho):
    """Spread over nine channels, of which the components find the few that vary."""
    generator = torch.Generator().manual_seed(50)
    x, noise = torch.randn(2, 1500, dims, generator=generator).double()
    y = rho * x + math.sqrt(1 - rho**2) * noise
    truth = -dims / 2 * math.log2(1 - rho**2)
    mixing = torch.randn(dims, 9, generator=generator).double()
    pair = leading_components(x @ mixing), leading_components(y @ mixing)
    ksg_bits, mixed_bits, lnc_bits = component_estimates(*pair)
    expected = [truth + bias for bias in BIASES[dims, rho]]
    assert [ksg_bits, lnc_bits] == pytest.approx(expected, abs=0.2)
    # Without ties log N stands for psi(N).
    assert mixed_bits - ksg_bits == pytest.approx(1 / 3000 / math.log(2), rel=1e-3)
    assert mixed_bits == component_information(*pair)


def test_estimates_of_what_is_not_continuous_or_too_alike():
    x = leading_components(draw(300, 2))
    codes = leading_components(draw(300, 2, seed=1).sign())
    ksg_bits, mixed_bits, lnc_bits = component_estimates(codes, codes)
    assert ksg_bits is lnc_bits is None
    assert mixed_bits == pytest.approx(2, abs=0.1)
    # LNC is infinite here, which JSON has no number for.
    ksg_bits, mixed_bits, lnc_bits = component_estimates(x, 2 * x)
    assert min(ksg_bits, mixed_bits) > 4
    assert lnc_bits is None
    # Nine neighbours among nine rows are one too many.
    assert component_estimates(x[:9], x[100:109]).lnc is None
    assert component_estimates(x[:10], x[100:110]).lnc is not None
