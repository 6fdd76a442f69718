"""Neighbours in the max norm, with ties and boundaries."""

from __future__ import annotations

import numpy as np
import pytest

from cmim.analysis.nearest_neighbours import as_samples, count_closer, nearest


def test_against_all_distances_on_a_grid_with_ties():
    samples = np.random.default_rng(0).integers(0, 4, (80, 2)).astype(float)
    samples[:40] += 0.5
    distance = np.abs(samples[:, None] - samples[None]).max(-1)
    radius, offsets = nearest(samples, 3)
    np.testing.assert_array_equal(radius, np.sort(distance, 1)[:, 3])
    assert offsets.shape == (80, 3, 2)
    np.testing.assert_array_equal(
        np.sort(np.abs(offsets).max(-1), 1), np.sort(distance, 1)[:, 1:4]
    )
    # On the boundary is not closer; at radius 0 copies count.
    closer = distance < radius[:, None]
    copies = distance == 0
    expected = np.where(radius[:, None] > 0, closer, copies).sum(1)
    np.testing.assert_array_equal(count_closer(samples, radius), expected)
    assert (radius == 0).any()
    assert (radius > 0).any()


@pytest.mark.parametrize("values", [np.zeros((3, 0)), 1.0, np.zeros((2, 2, 2))])
def test_shapes_that_are_no_samples(values):
    with pytest.raises(ValueError, match="y has the shape"):
        as_samples(values, "y")
