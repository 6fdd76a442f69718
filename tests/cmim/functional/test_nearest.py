"""Resized maps: an edge stays where it was, on average over all its places."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cmim.functional.nearest import nearest_centres, resize_nearest

SIZES = [(480, 240), (480, 120), (480, 160), (480, 97), (96, 12), (60, 480), (61, 100)]


@pytest.mark.parametrize(("source", "target"), SIZES)
def test_an_edge_stays_where_it_was(source, target):
    """Place of a step at c in the source, in target pixels, for every c."""
    found = nearest_centres(source, target).numpy()
    # Places whose target is whole would be exact alone: whole periods of all places.
    places = np.arange(1, source)
    moved = [np.count_nonzero(found < c) - c * target / source for c in places]
    assert abs(np.mean(moved)) < 0.02
    assert np.abs(moved).max() <= max(1.0, target / source)


@pytest.mark.parametrize(("source", "target"), SIZES)
def test_every_centre_lies_in_or_at_the_border_of_its_pixel(source, target):
    found = nearest_centres(source, target).numpy()
    for i, pixel in enumerate(found):
        assert 2 * pixel * target <= (2 * i + 1) * source <= 2 * (pixel + 1) * target


def test_borders_are_taken_in_turns():
    assert nearest_centres(16, 2).tolist() == [3, 12]
    assert nearest_centres(4, 4).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bfloat16])
def test_values_and_types_stay(dtype):
    maps = torch.arange(2 * 6 * 8).view(2, 6, 8).to(dtype)
    out = resize_nearest(maps, (3, 4))
    assert out.dtype == dtype
    expected = maps[:, [0, 3, 4]][:, :, [0, 3, 4, 7]]
    assert torch.equal(out, expected)


def test_no_pixels_are_refused():
    with pytest.raises(ValueError, match="at least 1, got 0 and 3"):
        nearest_centres(0, 3)
