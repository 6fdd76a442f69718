"""Weights of feature pixels against loops, and what is drawn with them."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch
from torch import Tensor

from cmim.contrast import BatchLabels, ContrastOptions, get_loss
from cmim.contrast.pairs import IGNORED, pick_labels, sample_positions
from cmim.contrast.sampling import sampling_weights

N, H, W = 3, 6, 7
CPU = torch.device("cpu")
SAMPLINGS = ("per_class", "edges")
each_sampling = pytest.mark.parametrize("sampling", SAMPLINGS)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def make_labels(size: tuple[int, int] = (H, W)) -> Tensor:
    """Blocks of labels, so that there are edges and insides, and unknown pixels."""
    coarse = torch.tensor([0, 3, 3, 200, 7])[torch.randint(0, 5, (N, 3, 3))]
    rows = torch.arange(size[0]) * 3 // size[0]
    columns = torch.arange(size[1]) * 3 // size[1]
    labels = coarse[:, rows][:, :, columns]
    return torch.where(torch.rand(N, *size) < 0.15, IGNORED, labels)


def at_features(labels: Tensor) -> list[list[list[int]]]:
    """Labels at the centres of feature pixels, row by row."""
    everywhere = torch.arange(H * W).expand(N, -1)
    return pick_labels(labels, everywhere, H, W).view(N, H, W).tolist()


def naive_weight(sampling: str, image: list[list[int]], row: int, column: int) -> float:
    own = image[row][column]
    if own == IGNORED:
        return 0.0
    if sampling == "per_class":
        return 1 / sum(line.count(own) for line in image)
    neighbours = {
        image[r][c]
        for r in range(max(row - 1, 0), min(row + 2, H))
        for c in range(max(column - 1, 0), min(column + 2, W))
    }
    return 1.0 if neighbours - {own, IGNORED} else 0.1


@each_sampling
@pytest.mark.parametrize("size", [(H, W), (33, 47), (4, 3), (1, 1)], ids=str)
def test_weights_equal_the_loops(sampling, size):
    labels = make_labels(size)
    maps = at_features(labels)
    naive = [
        [naive_weight(sampling, image, r, c) for r in range(H) for c in range(W)]
        for image in maps
    ]
    weights = sampling_weights(sampling, labels, H, W)
    assert weights.shape == (N, H * W)
    torch.testing.assert_close(weights, torch.tensor(naive))


def test_the_labels_of_the_loops_have_all_kinds():
    weights = sampling_weights("edges", make_labels(), H, W)
    assert weights.unique().tolist() == pytest.approx([0.0, 0.1, 1.0])


def test_edges_by_hand():
    """A column of 1 in a field of 0; what is unknown makes no edge."""
    labels = torch.zeros(1, 4, 6).long()
    labels[0, :, 0] = 1
    labels[0, 0, 5] = IGNORED
    weights = sampling_weights("edges", labels, 4, 6).view(4, 6)
    expected = torch.tensor([[1, 1, 0.1, 0.1, 0.1, 0.1]] * 4)
    expected[0, 5] = 0
    torch.testing.assert_close(weights, expected)


def test_every_label_weighs_the_same_together():
    labels = make_labels()
    weights = sampling_weights("per_class", labels, H, W).view(N, H, W)
    for image, weight in zip(labels, weights, strict=True):
        for label in image.unique():
            total = weight[image == label].sum().item()
            assert total == pytest.approx(0 if label == IGNORED else 1)


@each_sampling
def test_flipping_and_renaming_labels_flips_the_weights(sampling):
    labels = make_labels()
    before = sampling_weights(sampling, labels, H, W).view(N, H, W)
    renamed = torch.where(labels == IGNORED, labels, 999 - labels)
    for changed, expected in [
        (labels.flip(1), before.flip(1)),
        (labels.flip(2), before.flip(2)),
        (renamed, before),
    ]:
        weights = sampling_weights(sampling, changed, H, W).view(N, H, W)
        torch.testing.assert_close(weights, expected)


@each_sampling
def test_an_image_without_known_labels_weighs_nothing(sampling):
    labels = make_labels()
    labels[1] = IGNORED
    weights = sampling_weights(sampling, labels, H, W)
    assert (weights[1] == 0).all()
    assert (weights[[0, 2]] > 0).any(dim=1).all()


def test_each_class_is_drawn_equally_often():
    """Of 42 pixels 36, 4 and 2 carry a label: a third of the draws each."""
    labels = torch.zeros(1, H, W).long()
    labels[0, 0, :4] = 5
    labels[0, 1, :2] = 9
    draws = 6000
    weights = sampling_weights("per_class", labels, H, W).expand(draws, -1)
    drawn = sample_positions(draws, H, W, 1, CPU, weights)
    counts = Counter(labels.flatten()[drawn.flatten()].tolist())
    deviation = math.sqrt(draws * (1 / 3) * (2 / 3))
    for label in (0, 5, 9):
        assert abs(counts[label] - draws / 3) < 4.5 * deviation


@each_sampling
def test_unknown_pixels_are_drawn_only_when_no_known_are_left(sampling):
    labels = make_labels()
    labels[2] = IGNORED
    labels[2, 3, 3] = 4
    weights = sampling_weights(sampling, labels, H, W).repeat(50, 1)
    known = (labels != IGNORED).sum(dim=(1, 2)).tolist()
    for count in (1, 5, 30):
        drawn = sample_positions(N * 50, H, W, count, CPU, weights)
        picked = labels.repeat(50, 1, 1).flatten(1).gather(1, drawn) != IGNORED
        wanted = torch.tensor([min(count, k) for k in known]).repeat(50)
        assert torch.equal(picked.sum(dim=1), wanted)
        for image in drawn.tolist():
            assert len(set(image)) == count


def test_equal_weights_are_uniform():
    draws, pixels, count = 4000, 12, 3
    for weight in (1.0, 1e-5, 0.0):
        weights = torch.full((draws, pixels), weight)
        drawn = sample_positions(draws, 3, 4, count, CPU, weights)
        counts = drawn.flatten().bincount(minlength=pixels)
        deviation = math.sqrt(draws * 0.25 * 0.75)
        assert ((counts - draws / 4).abs() < 4.5 * deviation).all(), weight


def test_chances_follow_the_weights():
    draws, weights = 8000, torch.tensor([1.0, 2.0, 5.0, 0.0])
    drawn = sample_positions(draws, 2, 2, 1, CPU, weights.expand(draws, -1))
    counts = drawn.flatten().bincount(minlength=4)
    for count, share in zip(counts.tolist(), (weights / 8).tolist(), strict=True):
        deviation = math.sqrt(draws * share * (1 - share))
        assert abs(count - draws * share) <= 4.5 * deviation


def test_uniform_needs_no_labels():
    assert sampling_weights("uniform", None, H, W) is None


@each_sampling
def test_missing_labels_are_named(sampling):
    with pytest.raises(ValueError, match=f"{sampling!r} needs the labels"):
        sampling_weights(sampling, None, H, W)


def test_unknown_sampling_is_named():
    message = "'classes' is unknown; choose from uniform, per_class, edges"
    with pytest.raises(ValueError, match=message):
        sampling_weights("classes", None, H, W)


@each_sampling
def test_losses_sample_by_regions(sampling):
    """One pixel of label 1 and the rest unknown: always the first anchor."""
    regions = torch.full((2, 16, 16), IGNORED)
    regions[:, 8:12, 4:8] = 1
    options = ContrastOptions(projection=4, pixels=1, sampling=sampling)
    loss = get_loss("info_nce")(3, 3, options)
    features = torch.randn(2, 3, 4, 4)
    for _ in range(5):
        positions, _ = loss.draw(features, BatchLabels(regions=regions))
        assert positions.tolist() == [[9], [9]]
    with pytest.raises(ValueError, match="needs the labels of the images"):
        loss(features, features)
