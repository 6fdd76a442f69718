"""Edges of each class: ground truth, and segmentations that are measured by them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tasks.edges import ClassEdgeMetric
from tasks.edges.ground_truth import class_edges, semantic_edges


def rooms(seed: int) -> np.ndarray:
    """Labels of 4 classes in blocks, the last one absent, with void between some."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, (5, 6)).astype(np.uint8).repeat(8, 0).repeat(8, 1)
    labels[:, 15:17] = 255
    labels[30:38, 30:40] = 255
    return labels


@pytest.mark.parametrize(("bridge", "margin"), [(0, 0), (2, 0), (2, 3)])
def test_edges_of_the_classes_are_those_of_all(bridge, margin):
    labels = rooms(0)
    planes = class_edges(labels, 4, bridge, margin)
    together = semantic_edges(labels, bridge=bridge, margin=margin)
    assert np.array_equal((planes == 1).any(axis=0), together == 1)
    # Each of them parts two classes or three.
    count = (planes == 1).sum(axis=0)[together == 1]
    assert set(count.tolist()) <= {2, 3}
    assert (planes[3][together == 255] == 255).all()
    assert not (planes[3] == 1).any()


def test_edges_by_a_loop():
    labels = rooms(1)
    planes = class_edges(labels, 4)
    for row in range(1, 40):
        for column in range(1, 48):
            square = labels[row - 1 : row + 1, column - 1 : column + 1].ravel()
            found = {int(label) for label in square} - {255}
            expected = found if len(found) > 1 else set()
            here = {k for k in range(4) if planes[k, row, column] == 1}
            assert here == expected


def figures(pred: np.ndarray, labels: np.ndarray, **options) -> ClassEdgeMetric:
    metric = ClassEdgeMetric(**options)
    metric.dataset_meta = dict(classes=("wall", "bed", "door", "sofa"))
    sample = dict(
        pred_sem_seg=dict(data=torch.from_numpy(pred.astype(np.int64))[None]),
        gt_sem_seg=dict(data=torch.from_numpy(labels.astype(np.int64))[None]),
    )
    metric.process(None, [sample])
    metric.found = metric.evaluate(size=1)
    return metric


def test_a_border_that_is_too_far_off_and_one_that_is_not():
    """Two classes in 20x40 pixels; the border lies one pixel off, then three."""
    labels = np.zeros((20, 40), np.uint8)
    labels[:, 20:] = 1
    for shift, right in ((1, True), (3, False)):
        pred = np.roll(labels, shift, axis=1)
        pred[:, :shift] = 0
        metric = figures(pred, labels, tolerance=0.03)  # 1.3 pixels
        assert metric.found["ods"] == (100.0 if right else 0.0)
        assert metric.classes_measured["bed"]["ods"] == metric.found["ods"]
        assert metric.classes_measured["sofa"]["ods"] is None


def test_a_class_that_is_called_by_another_name():
    """Borders are where they belong; those of the wrong class are not found."""
    labels = np.zeros((20, 42), np.uint8)
    labels[:, 14:28], labels[:, 28:] = 1, 2
    pred = labels.copy()
    pred[pred == 2] = 3
    classes = figures(pred, labels).classes_measured
    assert classes["wall"]["ods"] == classes["bed"]["ods"] == 100.0
    assert classes["door"]["ods"] == 0.0
    assert classes["sofa"]["ods"] is None


def test_what_is_missing_is_said():
    metric = ClassEdgeMetric()
    sample = dict(pred_sem_seg=dict(data=torch.zeros(1, 4, 4)))
    with pytest.raises(ValueError, match="names no classes"):
        metric.process(None, [sample])
    with pytest.raises(ValueError, match="must not be negative"):
        ClassEdgeMetric(bridge=-1)
