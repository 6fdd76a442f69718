"""Measures of one layer with known answers."""

from __future__ import annotations

import pytest
import torch

from cmim.analysis.codes import CodeStatistics
from cmim.analysis.component_estimates import component_estimates, leading_components
from cmim.analysis.layer_report import LayerSample, measure_layer

ROWS = 1024


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def make_sample(latent: torch.Tensor, twin: torch.Tensor | None) -> LayerSample:
    labels = torch.full((len(latent),), torch.nan).double()
    images = torch.arange(len(latent)) // 16
    binary = torch.where(latent >= 0, 1.0, -1.0)
    return LayerSample(binary, latent, twin, labels, images)


def statistics_of(latent: torch.Tensor) -> CodeStatistics:
    statistics = CodeStatistics()
    statistics.update(latent >= 0)
    return statistics


@pytest.mark.full
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
    pair = leading_components(latent), leading_components(twin)
    estimates = found.latent_twin_ksg, found.latent_twin_mixed, found.latent_twin_lnc
    assert estimates == component_estimates(*pair)
    assert all(bits > 5 for bits in estimates)
    record = found.as_record()
    assert record["entropy"] == round(found.entropy, 4)
    other = measure_layer(
        statistics_of(latent), make_sample(latent, draw(ROWS, 8, seed=9)), False
    )
    assert other.bound_twin < 0.1
    assert abs(other.cka_twin) < 0.05
    assert abs(other.latent_twin_ksg) < 0.15
    assert abs(other.latent_twin_mixed) < 0.15
    assert abs(other.latent_twin_lnc) < 0.3
    assert other.bound_latent == found.bound_latent


def test_without_a_twin_and_with_dead_codes():
    latent = draw(ROWS, 4).abs() + 1
    found = measure_layer(statistics_of(latent), make_sample(latent, None), False)
    assert (found.entropy, found.dead) == (0, 1)
    assert found.bound_latent < 1e-5
    assert (
        found.bound_twin is found.cka_twin is found.cka_latent is found.shared is None
    )
    estimates = found.latent_twin_ksg, found.latent_twin_mixed, found.latent_twin_lnc
    assert estimates == (None, None, None)


def test_a_diverged_network_is_said_so():
    latent = draw(ROWS, 4)
    latent[3, 2] = torch.nan
    with pytest.raises(ValueError, match="diverged"):
        measure_layer(statistics_of(latent), make_sample(latent, None), False)
