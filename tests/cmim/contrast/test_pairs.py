"""Sampling and label rules of pixel pairs against naive loops."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch
from torch import Tensor

from cmim.contrast.pairs import (
    IGNORED,
    gather_pixels,
    other_label,
    pick_labels,
    sample_positions,
)

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("count", [1, 7, 35, 99])
def test_positions_are_distinct_and_on_the_map(count):
    positions = sample_positions(6, 5, 7, count, CPU)
    wanted = min(count, 35)
    assert positions.shape == (6, wanted)
    assert positions.dtype == torch.int64
    for image in positions.tolist():
        assert len(set(image)) == wanted
        assert set(image) <= set(range(35))


def test_positions_are_uniform_over_the_map():
    draws, pixels, count = 4000, 12, 3
    counts = sample_positions(draws, 3, 4, count, CPU).flatten().bincount()
    share = count / pixels
    deviation = math.sqrt(draws * share * (1 - share))
    assert counts.numel() == pixels
    assert ((counts - draws * share).abs() < 4.5 * deviation).all()


def test_pairs_of_positions_are_uniform_too():
    first, second = sample_positions(4000, 2, 2, 2, CPU).unbind(1)
    counts = (first * 4 + second).bincount(minlength=16).view(4, 4)
    assert (counts.diagonal() == 0).all()
    off = counts[~torch.eye(4, dtype=torch.bool)]
    deviation = math.sqrt(4000 * (1 / 12) * (11 / 12))
    assert ((off - 4000 / 12).abs() < 4.5 * deviation).all()


def test_positions_repeat_with_the_seed_and_differ_between_images():
    torch.manual_seed(3)
    first = sample_positions(2, 20, 20, 16, CPU)
    other = sample_positions(2, 20, 20, 16, CPU)
    torch.manual_seed(3)
    again = sample_positions(2, 20, 20, 16, CPU)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert set(first[0].tolist()) != set(first[1].tolist())


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_gather_pixels_equals_a_loop(layout):
    features = torch.randn(3, 4, 5, 7).contiguous(memory_format=layout)
    positions = sample_positions(3, 5, 7, 6, CPU)
    naive = [
        features[n, :, p // 7, p % 7]
        for n, image in enumerate(positions.tolist())
        for p in image
    ]
    assert torch.equal(gather_pixels(features, positions), torch.stack(naive))


def test_gather_pixels_sends_the_gradient_to_its_pixels_only():
    features = torch.randn(1, 2, 3, 3, requires_grad=True)
    gather_pixels(features, torch.tensor([[4, 0]])).sum().backward()
    expected = torch.zeros(3, 3)
    expected[1, 1] = expected[0, 0] = 1
    assert torch.equal(features.grad, expected.expand(1, 2, 3, 3))


@pytest.mark.parametrize("image", [(40, 56), (33, 47), (5, 7), (3, 2)], ids=str)
def test_pick_labels_equals_a_loop_over_centres(image):
    labels = torch.randint(-1, 9, (3, *image))
    positions = sample_positions(3, 5, 7, 35, CPU)
    naive = []
    for n, places in enumerate(positions.tolist()):
        for p in places:
            row, column = divmod(p, 7)
            y = (row + Fraction(1, 2)) / 5 * image[0]
            x = (column + Fraction(1, 2)) / 7 * image[1]
            # At the border of two pixels the left one for even places.
            y, x = (
                math.floor(c) - (c.denominator == 1 and place % 2 == 0)
                for c, place in ((y, row), (x, column))
            )
            naive.append(labels[n, y, x].item())
    picked = pick_labels(labels, positions, 5, 7)
    assert picked.tolist() == naive


def test_pick_labels_at_equal_size_is_the_label_of_the_pixel():
    labels = torch.randint(0, 9, (2, 5, 7))
    positions = sample_positions(2, 5, 7, 9, CPU)
    expected = gather_pixels(labels[:, None].float(), positions).flatten().long()
    assert torch.equal(pick_labels(labels, positions, 5, 7), expected)


def naive_other_label(anchors: Tensor, candidates: Tensor) -> list[list[bool]]:
    return [
        [a != b and IGNORED not in (a, b) for b in candidates.tolist()]
        for a in anchors.tolist()
    ]


def test_other_label_equals_a_loop():
    anchors = torch.randint(-1, 4, (30,))
    candidates = torch.randint(-1, 4, (50,))
    allowed = other_label(anchors, candidates)
    assert allowed.dtype == torch.bool
    assert allowed.tolist() == naive_other_label(anchors, candidates)
    assert allowed.any()


@pytest.mark.parametrize("label", [IGNORED, 0, 3])
def test_nobody_differs_from_the_same_or_an_unknown_label(label):
    labels = torch.full((4,), label)
    assert not other_label(labels, labels).any()


def test_other_label_is_symmetric():
    labels = torch.randint(-1, 4, (30,))
    allowed = other_label(labels, labels)
    assert torch.equal(allowed, allowed.T)
