"""Measures of one layer with known answers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from cmim.analysis.codes import CodeStatistics
from cmim.analysis.layer_report import (
    LayerSample,
    component_information,
    label_information,
    measure_layer,
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


def test_components_of_flat_features():
    assert principal_components(torch.ones(7, 3)).shape == (7, 0)
    line = torch.arange(7.0)[:, None] * torch.tensor([1.0, -2.0])
    assert principal_components(line).shape == (7, 1)
    assert component_information(torch.ones(9, 2), draw(9, 2)) is None


def test_estimate_of_two_gaussians():
    x, noise = draw(ROWS, 1), draw(ROWS, 1, seed=1)
    for rho in (0.0, 0.6, 0.9):
        y = rho * x + math.sqrt(1 - rho**2) * noise
        truth = -0.5 * math.log2(1 - rho**2)
        assert component_information(x, y) == pytest.approx(truth, abs=0.1)


def test_estimate_of_signs():
    """The sign of a symmetric variable has one bit, all of it shared."""
    x = draw(ROWS, 1)
    assert component_information(x.sign(), x) == pytest.approx(1, abs=0.05)
    assert component_information(x.sign(), draw(ROWS, 1, seed=1)) < 0.05


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
    depth = (0.5 * (0.9 * z + math.sqrt(0.19) * noise)).exp()[:, 0]
    truth = -0.5 * math.log2(0.19)
    assert label_information(z, depth.double(), True) == pytest.approx(truth, abs=0.1)


def make_sample(latent: torch.Tensor, twin: torch.Tensor | None) -> LayerSample:
    labels = torch.full((len(latent),), torch.nan).double()
    images = torch.arange(len(latent)) // 16
    binary = torch.where(latent >= 0, 1.0, -1.0)
    return LayerSample(binary, latent, twin, labels, images)


def statistics_of(latent: torch.Tensor) -> CodeStatistics:
    statistics = CodeStatistics()
    statistics.update(latent >= 0)
    return statistics


def test_all_figures_of_a_layer():
    latent = draw(ROWS, 8)
    latent[:, 0] = 5.0  # never changes
    twin = latent.clone() + 0.01 * draw(ROWS, 8, seed=1)
    found = measure_layer(statistics_of(latent), make_sample(latent, twin), False)
    assert found.channels == 8
    assert found.entropy == pytest.approx(7 / 8, abs=0.01)
    assert found.dead == pytest.approx(1 / 8)
    assert found.pair_information < 0.01
    assert found.ceiling == 8
    assert 2 < found.bound_latent <= 7  # seven independent bits
    assert found.bound_twin == pytest.approx(found.bound_latent, abs=0.3)
    assert found.cka_latent == pytest.approx(found.cka_twin, abs=0.05)
    assert found.label_codes is None
    record = found.as_record()
    assert record["entropy"] == round(found.entropy, 4)
    other = measure_layer(
        statistics_of(latent), make_sample(latent, draw(ROWS, 8, seed=9)), False
    )
    assert other.bound_twin < 0.1
    assert abs(other.cka_twin) < 0.05
    assert other.bound_latent == found.bound_latent


def test_without_a_twin_and_with_dead_codes():
    latent = draw(ROWS, 4).abs() + 1
    found = measure_layer(statistics_of(latent), make_sample(latent, None), False)
    assert (found.entropy, found.dead) == (0, 1)
    assert found.bound_latent < 1e-5
    assert (
        found.bound_twin is found.cka_twin is found.cka_latent is found.shared is None
    )


def test_a_diverged_network_is_said_so():
    latent = draw(ROWS, 4)
    latent[3, 2] = torch.nan
    with pytest.raises(ValueError, match="diverged"):
        measure_layer(statistics_of(latent), make_sample(latent, None), False)
