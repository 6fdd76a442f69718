"""Sampled pixels: the same places everywhere, and what lies there."""

from __future__ import annotations

import pytest
import torch

from cmim.analysis.pixel_sample import PixelSample, resize_labels, sampled_places


def test_places_are_distinct_and_a_function_of_seed_image_and_size():
    places = sampled_places(range(5), 6, 7, 10, seed=3)
    assert places.shape == (5, 10)
    assert all(len(set(row)) == 10 for row in places.tolist())
    assert places.min() >= 0
    assert places.max() < 42
    again = torch.cat([sampled_places([i], 6, 7, 10, seed=3) for i in range(5)])
    assert torch.equal(places, again)
    assert not torch.equal(places, sampled_places(range(5), 6, 7, 10, seed=4))
    assert len({tuple(row) for row in places.tolist()}) == 5


def test_rows_are_the_features_at_the_places_whatever_the_batches():
    features = torch.randn(4, 3, 5, 6)
    whole, parts = PixelSample(7), PixelSample(7)
    whole.add("a", features, range(4))
    parts.add("a", features[:3], range(3))
    parts.add("a", features[3:], [3])
    assert torch.equal(whole.rows("a"), parts.rows("a"))
    assert torch.equal(whole.images("a"), torch.arange(4).repeat_interleave(7))
    places = sampled_places(range(4), 5, 6, 7)
    for image in range(4):
        for i, place in enumerate(places[image].tolist()):
            expected = features[image, :, place // 6, place % 6]
            assert torch.equal(whole.rows("a")[7 * image + i], expected)


def test_layers_of_one_resolution_are_read_at_the_same_places():
    sample, features = PixelSample(4), torch.randn(2, 1, 3, 3)
    sample.add("a", features, [0, 1])
    sample.add("b", -features, [0, 1])
    assert torch.equal(sample.rows("a"), -sample.rows("b"))


def test_maps_with_fewer_pixels_give_all_of_them():
    sample = PixelSample(9)
    sample.add("a", torch.arange(8.0).view(2, 1, 2, 2), [0, 1])
    assert sorted(sample.rows("a")[:4, 0].tolist()) == [0, 1, 2, 3]
    assert sample.images("a").tolist() == [0] * 4 + [1] * 4


def test_labels_are_read_at_the_centres():
    labels = torch.arange(30).view(1, 5, 6)
    found = resize_labels(labels, 2, 3)[0, 0]
    rows = [int((i + 0.5) * 5 / 2) for i in range(2)]
    # Centres at 1, 3 and 5: the border of two pixels, taken in turns.
    columns = [0, 3, 4]
    assert found.tolist() == [[labels[0, r, c].item() for c in columns] for r in rows]
    assert resize_labels(torch.tensor([[[7]]]), 2, 2).eq(7).all()


def test_no_pixels():
    with pytest.raises(ValueError, match="at least 1"):
        PixelSample(0)
