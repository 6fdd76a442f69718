"""Features on another grid: an independent sum, edges that stay, torch's own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from cmim.functional.alignment import axis_weights, resize_features

SIZES = [(60, 15), (15, 60), (17, 5), (5, 17), (7, 7), (1, 4), (4, 1), (13, 12)]


def by_small_steps(source: int, target: int) -> np.ndarray:
    """Weights from positions alone: many points a target pixel, or its centre."""
    ratio = source / target
    weights = np.zeros((target, source))
    for i in range(target):
        if ratio >= 1:
            points = 12_000
            places = (i + (np.arange(points) + 0.5) / points) * ratio
            for j in np.floor(places).astype(int):
                weights[i, j] += 1 / points
        else:
            place = min(max((i + 0.5) * ratio - 0.5, 0), source - 1)
            low = int(place)
            weights[i, low] += 1 - (place - low)
            if place > low:
                weights[i, low + 1] += place - low
    return weights


@pytest.mark.parametrize(("source", "target"), SIZES)
def test_weights_are_the_shares_that_are_covered(source, target):
    found = axis_weights(source, target).numpy()
    np.testing.assert_allclose(found, by_small_steps(source, target), atol=5e-4)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-12)


@pytest.mark.parametrize(("source", "target"), SIZES)
def test_an_edge_stays_where_it_was(source, target):
    """The place of a step, read off the sum of all values, for every place."""
    weights = axis_weights(source, target)
    steps = torch.tril(torch.ones(source, source, dtype=torch.float64)).mT[:, :-1]
    # Column c is 1 up to pixel c, and 0 behind it: its edge lies at c + 1.
    found = (weights @ steps).sum(0) * source / target
    expected = torch.arange(1, source, dtype=torch.float64)
    # Between centres the last half pixel is constant, so that single ones may move.
    within = 0.5 if target > source else 1e-9
    assert torch.all((found - expected).abs() <= within)
    assert source < 2 or abs((found - expected).mean()) < 1e-9


@pytest.mark.parametrize(("source", "target"), [(60, 15), (15, 60), (5, 17)])
def test_a_ramp_stays_a_ramp_between_the_outer_centres(source, target):
    ramp = torch.arange(source, dtype=torch.float64) + 0.5
    expected = (torch.arange(target, dtype=torch.float64) + 0.5) * source / target
    found = axis_weights(source, target) @ ramp
    torch.testing.assert_close(found, expected.clamp(0.5, source - 0.5))


def test_whole_factors_are_those_of_torch():
    x = torch.randn(2, 3, 12, 8, dtype=torch.float64)
    torch.testing.assert_close(resize_features(x, (4, 2)), F.avg_pool2d(x, (3, 4)))
    torch.testing.assert_close(
        resize_features(x, (30, 16)),
        F.interpolate(x, (30, 16), mode="bilinear", align_corners=False),
    )


def test_both_axes_turn_into_each_other():
    x = torch.randn(2, 12, 7)
    found = resize_features(x, (5, 9))
    torch.testing.assert_close(found, resize_features(x.mT, (9, 5)).mT)
    torch.testing.assert_close(found.flip(2), resize_features(x.flip(2), (5, 9)))


def test_maps_of_that_size_are_passed_on():
    x = torch.randn(1, 2, 3, 4)
    assert resize_features(x, (3, 4)) is x


def test_half_precision_is_computed_in_float32():
    x = torch.randn(1, 2, 12, 12).bfloat16()
    expected = resize_features(x.float(), (5, 5)).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(resize_features(x, (5, 5)), expected)
        exact = resize_features(x.float(), (5, 5))
    assert torch.equal(exact, resize_features(x.float(), (5, 5)))


def test_no_pixels_are_refused():
    with pytest.raises(ValueError, match="at least 1, got 0 and 3"):
        axis_weights(0, 3)
