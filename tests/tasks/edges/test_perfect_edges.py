"""What is predicted without a fault is measured as such, whatever way its lines run."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tasks.edges import ClassEdgeMetric, EdgeAssignmentMetric
from tasks.edges.ground_truth import semantic_edges


def disc_and_slope() -> np.ndarray:
    """A disc, and a corner cut off by a slanted border: three classes."""
    rows, columns = np.mgrid[:120, :160]
    labels = np.zeros((120, 160), np.uint8)
    labels[(rows - 50) ** 2 + (columns - 60) ** 2 < 30**2] = 1
    labels[rows + 2 * columns > 330] = 2
    return labels


def test_classes():
    metric = ClassEdgeMetric()
    metric.dataset_meta = dict(classes=("wall", "lamp", "floor"))
    labels = dict(data=torch.from_numpy(disc_and_slope().astype(np.int64))[None])
    metric.process(None, [dict(pred_sem_seg=labels, gt_sem_seg=labels)])
    figures = metric.evaluate(size=1)
    assert figures["ods"] == figures["ois"] == 100.0


@pytest.mark.parametrize("thin", [True, False])
def test_maps(thin):
    metric = EdgeAssignmentMetric(thin=thin)
    truth = torch.from_numpy(semantic_edges(disc_and_slope()))[None]
    metric.process(
        None,
        [dict(gt_edge_map=dict(data=truth), pred_edge_map=dict(data=truth.float()))],
    )
    assert metric.evaluate(size=1)["ods"] == 100.0
