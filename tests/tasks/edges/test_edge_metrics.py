"""Edge metrics against loops over pixels, distances and thresholds."""

import math

import numpy as np
import pytest
import torch

from tasks.edges import EdgeMetric
from tasks.edges.metrics import THRESHOLDS, edge_counts, edge_figures

TOLERANCE = 0.1


def image(seed: int):
    rng = np.random.default_rng(seed)
    target = (rng.random((13, 17)) < 0.1).astype(np.int64)
    target[rng.random((13, 17)) < 0.15] = 255
    pred = rng.choice([0.0, 0.1, 0.25, 0.5, 0.99, 1.0], (13, 17))
    return pred, target


def naive(pred, target) -> np.ndarray:
    radius = TOLERANCE * math.hypot(*pred.shape)
    places = [(r, c) for r in range(pred.shape[0]) for c in range(pred.shape[1])]
    true = [p for p in places if target[p] == 1]
    rows = []
    for threshold in THRESHOLDS:
        found = [p for p in places if pred[p] >= threshold and target[p] != 255]
        right = [p for p in found if any(math.dist(p, t) <= radius for t in true)]
        hit = [t for t in true if any(math.dist(p, t) <= radius for p in found)]
        rows.append([len(right), len(found), len(hit), len(true)])
    return np.array(rows)


@pytest.mark.parametrize("seed", range(2))
def test_counts_at_every_threshold(seed):
    pred, target = image(seed)
    assert np.array_equal(edge_counts(pred, target, TOLERANCE), naive(pred, target))


def test_no_edge_and_no_prediction():
    nothing = np.zeros((5, 6))
    assert not edge_counts(nothing, nothing.astype(int)).any()
    everywhere = edge_counts(np.ones((5, 6)), nothing.astype(int))
    assert everywhere[0].tolist() == [0, 30, 0, 0]


def test_nan_is_no_edge():
    target = np.array([[1, 0, 0]])
    assert not edge_counts(np.full((1, 3), math.nan), target)[:, :3].any()


def test_figures_by_hand():
    """Image A is perfect from 0.5 on, image B up to 0.3."""
    counts = torch.zeros(2, 99, 4, dtype=torch.int64)
    counts[..., 3] = 10
    counts[0] = torch.tensor([10, 20, 10, 10])
    counts[0, 49:] = torch.tensor([10, 10, 10, 10])
    counts[1, :30] = torch.tensor([10, 10, 10, 10])
    figures = edge_figures(counts)
    assert figures["ois"] == 100
    # Low thresholds: precision 20 / 30, recall 1; high ones: precision 1, recall 1/2.
    assert figures["ods"] == pytest.approx(100 * 2 * (2 / 3) / (5 / 3))
    assert figures["threshold"] == 0.01
    assert figures["precision"] == pytest.approx(200 / 3)
    assert figures["recall"] == 100


def measure(batches, **options) -> dict:
    metric = EdgeMetric(tolerance=TOLERANCE, prefix="edges", **options)
    for batch in batches:
        metric.process(
            None,
            [
                dict(
                    pred_edge_map=dict(data=torch.from_numpy(p)[None]),
                    gt_edge_map=dict(data=torch.from_numpy(t)[None]),
                )
                for p, t in batch
            ],
        )
    return metric.evaluate(size=3)


def test_batches_change_nothing_and_oneself_is_perfect():
    images = [image(seed) for seed in range(3)]
    figures = measure([images])
    assert figures == measure([[i] for i in images])
    assert figures["edges/ods"] <= figures["edges/ois"] < 100
    perfect = measure([[((t == 1).astype(float), t) for _, t in images]])
    assert perfect["edges/ods"] == perfect["edges/ois"] == 100


def test_all_known_pixels_are_measured_or_it_is_said():
    pred, target = image(0)
    assert measure([[(pred, target)]])["edges/measured_share"] == 1
    with pytest.raises(ValueError, match="the test data have none"):
        measure([[(pred, np.full_like(target, 255))]])


def test_mirroring_changes_nothing():
    images = [image(seed) for seed in range(3)]
    mirrored = [(p[:, ::-1].copy(), t[:, ::-1].copy()) for p, t in images]
    assert measure([images]) == measure([mirrored])


def test_misuse_is_named():
    with pytest.raises(ValueError, match="none of the 1 images has an edge"):
        edge_figures(torch.zeros(1, 99, 4, dtype=torch.int64))
    with pytest.raises(ValueError, match="both must be the same"):
        edge_counts(np.zeros((2, 2)), np.zeros((4, 4)))
    with pytest.raises(ValueError, match="must not be negative"):
        EdgeMetric(tolerance=-1)


@pytest.mark.parametrize("value", [2, 128, 254])
def test_other_values_of_the_ground_truth_are_refused(value):
    """An edge map stored as 0 and 128 would have no edge at all."""
    target = np.zeros((4, 4), np.uint8)
    target[1] = value
    with pytest.raises(ValueError, match=f"4 pixels of .* the first {value}"):
        edge_counts(np.zeros((4, 4)), target)
