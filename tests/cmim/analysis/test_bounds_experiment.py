"""Trained bounds on a small problem: ceilings, known values, repeatability, picture."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from cmim.analysis import bounds_experiment
from cmim.analysis.bounds_experiment import (
    BOUNDS,
    CRITICS,
    Setup,
    correlation,
    format_table,
    table_of,
    train_bound,
)
from cmim.analysis.bounds_picture import draw_bounds, moving_mean

TINY = Setup(steps_per_level=3, batch=6, dim=2, levels=(1.0, 3.0))
each_bound = pytest.mark.parametrize("name", BOUNDS)
each_critic = pytest.mark.parametrize("critic", CRITICS)


def tiny(critic: str) -> Setup:
    return Setup(3, 6, 2, critic, levels=(1.0, 3.0))


@pytest.mark.parametrize("information", [0.0, 0.5, 2.0, 10.0])
@pytest.mark.parametrize("dim", [1, 20])
def test_correlation_gives_back_the_information(information, dim):
    rho = correlation(information, dim)
    assert -dim / 2 * math.log1p(-(rho**2)) == pytest.approx(information, abs=1e-6)


def test_the_data_have_that_correlation():
    setup = Setup(batch=4000, dim=2)
    x, y = bounds_experiment._draw(2.0, setup, torch.Generator().manual_seed(0))
    measured = np.corrcoef(torch.cat([x, y], dim=1).T.numpy())
    rho = correlation(2.0, 2)
    expected = np.block([[np.eye(2), rho * np.eye(2)], [rho * np.eye(2), np.eye(2)]])
    assert np.abs(measured - expected).max() < 4.5 / math.sqrt(4000)


@each_bound
@each_critic
def test_every_bound_with_every_critic_gives_finite_estimates(name, critic):
    curve = train_bound(name, tiny(critic))
    assert curve.shape == (6,)
    assert curve.isfinite().all()


@each_bound
def test_the_same_seed_repeats_and_leaves_the_global_generator_alone(name):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = train_bound(name, TINY)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    assert torch.equal(train_bound(name, TINY), first)
    other = Setup(3, 6, 2, seed=1, levels=(1.0, 3.0))
    assert not torch.equal(train_bound(name, other), first)


@each_critic
def test_info_nce_never_exceeds_log_batch(critic):
    """Almost equal x and y, so that the critic soon tells all pairs apart."""
    setup = Setup(80, 8, 4, critic, levels=(40.0,))
    curve = train_bound("info_nce", setup)
    assert (curve <= math.log(8) + 1e-5).all()
    assert curve[-10:].mean() > 0.8 * math.log(8)


@pytest.mark.full
def test_the_bound_rises_with_the_information():
    setup = Setup(60, 32, 2, levels=(0.0, 3.0))
    for name in ("info_nce", "nwj", "mine", "interpolated 0.5"):
        low, high = (
            row["mean"] for row in table_of({name: train_bound(name, setup)}, setup)
        )
        assert abs(low) < 0.2
        assert high > 0.5


@each_critic
def test_scores_are_those_of_all_pairs_and_baselines_see_y_only(critic):
    torch.manual_seed(0)
    made = bounds_experiment._Critic(tiny(critic))
    x, y = torch.randn(2, 5, 2)
    with torch.no_grad():
        scores = made(x, y)
        for i in range(5):
            for j in range(5):
                if critic == "separable":
                    pair = made.embed_y(y[i]) @ made.embed_x(x[j])
                else:
                    pair = made.compare(torch.cat([y[i], x[j]]))
                matrix = scores.anchors @ scores.candidates[0].vectors.T
                assert matrix[i, j].item() == pytest.approx(pair.item(), abs=1e-5)
                if i == j:
                    positive = scores.positive[i].item()
                    assert positive == pytest.approx(pair.item(), abs=1e-5)
        assert scores.count.tolist() == [4] * 5
        baseline = bounds_experiment._Baseline(2)
        assert baseline(scores.anchors).flatten().tolist() == [1] * 5
        torch.nn.init.normal_(baseline.network[-1].weight)
        moved = made(x + 1, y)
        torch.testing.assert_close(baseline(moved.anchors), baseline(scores.anchors))


def test_table_reads_the_last_half_of_each_level():
    setup = Setup(steps_per_level=4, levels=(1.0, 2.0))
    curve = torch.tensor([9.0, 9, 1, 3, 9, 9, 2, 2])
    first, second = table_of({"nwj": curve}, setup)
    assert first == dict(
        bound="nwj", truth=1.0, mean=2.0, bias=1.0, spread=1.0, median=1.0
    )
    assert (second["mean"], second["bias"], second["spread"]) == (2.0, 0.0, 0.0)
    lines = format_table([first, second]).splitlines()
    assert len(lines) == 2
    assert lines[1].split() == ["nwj", "2.00", "±", "1.00", "2.00", "±", "0.00"]
    assert len(lines[0]) == len(lines[1])


def test_moving_mean_equals_the_sum_over_the_past():
    values = np.random.default_rng(0).normal(size=9)
    keep = 1 - 2 / (4 + 1)
    for i, mean in enumerate(moving_mean(values, 4)):
        weights = keep ** np.arange(i, -1, -1)
        assert mean == pytest.approx(weights @ values[: i + 1] / weights.sum())
    assert (moving_mean(values, 1) == values).all()


def test_picture_has_a_panel_for_each_bound(tmp_path):
    curves = {name: train_bound(name, TINY) for name in ("nwj", "info_nce")}
    draw_bounds(tmp_path / "new" / "bounds.svg", curves, TINY)
    drawn = (tmp_path / "new" / "bounds.svg").read_text()
    assert drawn.count('<g id="axes_') == 2 + 1  # and an empty place
    with pytest.raises(ValueError, match="nothing to draw"):
        draw_bounds(tmp_path / "none.png", {}, TINY)


def test_what_is_unknown_or_too_small_is_named():
    with pytest.raises(ValueError, match="bound 'infonce' is unknown; choose from"):
        train_bound("infonce", TINY)
    with pytest.raises(ValueError, match="critic 'joint' is unknown; choose from sep"):
        Setup(critic="joint")
    with pytest.raises(ValueError, match="batch must be at least 3, got 2"):
        Setup(batch=2)
    with pytest.raises(ValueError, match="steps_per_level must be at least 2, got 1"):
        Setup(steps_per_level=1)
