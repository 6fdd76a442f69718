r"""Edge metrics: integer counts a threshold and image, boundary F-measures from them.

Matching is by distance: a predicted edge pixel is right if a true one lies within the
tolerance, a true one is found if a predicted one does. The benchmark BSDS matches them
one to one (a bipartite assignment) after thinning the predictions. So here a thick band
within the tolerance is right as a whole, and one predicted pixel finds all true ones
around it: figures are at least those of the assignment and not comparable with them.
:mod:`tasks.edges.assignment_metric` has the benchmark's own, which takes seconds an
image instead of milliseconds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmseg.registry import METRICS
from numpy.typing import NDArray
from torch import Tensor

from tasks.ground_truth import truth_or_unknown
from tasks.measured_share import measured_share

THRESHOLDS = np.arange(1, 100) / 100
UNKNOWN = 255


def disk(radius: float) -> NDArray[np.uint8]:
    """Pixels at most ``radius`` from the centre, as a kernel.

    Examples:
        >>> disk(1.0).tolist()
        [[0, 1, 0], [1, 1, 1], [0, 1, 0]]
    """
    reach = math.floor(radius)
    steps = np.arange(-reach, reach + 1)
    return (steps[:, None] ** 2 + steps**2 <= radius**2).astype(np.uint8)


def edge_counts(
    pred: NDArray, target: NDArray, tolerance: float = 0.0075
) -> NDArray[np.int64]:
    """Count right and found edge pixels of one image at every threshold.

    Unknown pixels (255) count nowhere: a prediction there is neither right nor wrong,
    and finds nothing. A NaN prediction is below every threshold.

    Args:
        pred: Probability of an edge.
        target: 1 edge, 0 none, 255 unknown.
        tolerance: Distance in units of the image's diagonal, >= 0.

    Returns:
        For each of ``THRESHOLDS``: predicted pixels that are right, predicted pixels,
        true pixels that are found, true pixels.

    Shape:
        pred and target ``(H, W)``; output ``(99, 4)``.

    Raises:
        ValueError: If the shapes differ, or the ground truth holds another value.

    Examples:
        One of two predicted pixels is right; the one true pixel is found.

        >>> pred, target = np.array([[0.5, 0.5, 0.0]]), np.array([[1, 0, 0]])
        >>> edge_counts(pred, target, tolerance=0.0)[[0, 49, 50]].tolist()
        [[1, 2, 1, 1], [1, 2, 1, 1], [0, 0, 0, 1]]
    """
    check_edge_maps(pred, target)
    near = disk(tolerance * math.hypot(*pred.shape))
    edge = target == 1
    # Every count is a tail of a histogram of levels.
    level = levels_of(pred)
    level[target == UNKNOWN] = 0
    beside_edge = cv2.dilate(edge.view(np.uint8), near) > 0
    best_around = cv2.dilate(level, near)
    reached = [level[beside_edge], level, best_around[edge]]
    tails = [_tail(levels.ravel()) for levels in reached]
    tails.append(np.full(len(THRESHOLDS), edge.sum()))
    return np.stack(tails, axis=1).astype(np.int64)


def check_edge_maps(pred: NDArray, target: NDArray) -> None:
    """Refuse maps of two shapes, and ground truth that is none.

    Raises:
        ValueError: If the shapes differ, or the ground truth holds another value.
    """
    if pred.shape != target.shape or pred.ndim != 2:
        raise ValueError(
            f"predicted edges have shape {pred.shape} and the ground truth "
            f"{target.shape}; both must be the same (H, W)"
        )
    other = ~np.isin(target, (0, 1, UNKNOWN))
    if other.any():
        raise ValueError(
            f"{other.sum()} pixels of the true edges hold other values than 0 (none), "
            f"1 (edge) and {UNKNOWN} (unknown), the first {target[other][0]}: they "
            "would count as no edge"
        )


def levels_of(pred: NDArray) -> NDArray[np.uint8]:
    """How many of ``THRESHOLDS`` each pixel reaches; a NaN reaches none.

    Examples:
        >>> levels_of(np.array([0.0, 0.01, 0.5, 1.0, np.nan])).tolist()
        [0, 1, 50, 99, 0]
    """
    values = np.nan_to_num(pred.astype(np.float64), nan=0.0)
    return np.searchsorted(THRESHOLDS, values, side="right").astype(np.uint8)


def _tail(levels: NDArray) -> NDArray:
    counts = np.bincount(levels, minlength=len(THRESHOLDS) + 1)
    return counts[::-1].cumsum()[::-1][1:]


def f_measure(counts: Tensor) -> Tensor:
    """Harmonic mean of precision and recall; 0 where one of them is 0 / 0.

    Args:
        counts: Right, predicted, found and true pixels.

    Shape:
        counts ``(*, 4)``; output ``(*)`` float64.

    Examples:
        >>> f_measure(torch.tensor([[1, 2, 1, 1], [0, 0, 0, 1]])).tolist()
        [0.6666666666666666, 0.0]
    """
    right, predicted, found, true = counts.double().unbind(dim=-1)
    precision, recall = right / predicted.clamp(min=1), found / true.clamp(min=1)
    both = precision + recall
    return 2 * precision * recall / torch.where(both > 0, both, 1)


def edge_figures(counts: Tensor) -> dict[str, float]:
    """F-measures of a data set, in percent.

    Args:
        counts: :func:`edge_counts` of each image.

    Returns:
        ``ods``, the F-measure of the pooled counts at the one threshold that is best
        for the data set; its ``precision``, ``recall`` and ``threshold``; ``ois``, with
        each image's counts at its own best threshold.

    Shape:
        counts ``(images, 99, 4)``.

    Raises:
        ValueError: If no image has an edge.

    References:
        Martin, Fowlkes, Malik, Learning to Detect Natural Image Boundaries Using Local
        Brightness, Color, and Texture Cues, TPAMI 2004 (the tolerance 0.0075).
        Arbelaez et al., Contour Detection and Hierarchical Image Segmentation, TPAMI
        2011 (ODS and OIS).
    """
    if not counts[:, 0, 3].sum():
        raise ValueError(
            f"none of the {len(counts)} images has an edge: check the labels that "
            "AddEdges reads"
        )
    pooled = counts.sum(dim=0)
    best = int(f_measure(pooled).argmax())
    right, predicted, found, true = pooled[best].double().tolist()
    own = f_measure(counts).argmax(dim=1)
    at_own = counts[torch.arange(len(counts)), own].sum(dim=0)
    return dict(
        ods=100 * f_measure(pooled[best]).item(),
        ois=100 * f_measure(at_own).item(),
        precision=100 * right / max(predicted, 1),
        recall=100 * found / true,
        threshold=float(THRESHOLDS[best]),
    )


@METRICS.register_module()
class EdgeMetric(BaseMetric):
    """Evaluate edge maps; figures in :func:`edge_figures`, percent.

    Each image is reduced to integer counts of its own, so the figures do not depend on
    batch size or number of processes, and images repeated to fill a distributed batch
    are trimmed. How matches are made, and what differs from BSDS: see
    :mod:`tasks.edges.metrics`. ``measured_share`` says how much of the known ground
    truth, all that is not 255, they are of.

    Args:
        tolerance: Distance of a match in units of the image's diagonal: 6 pixels of
            480x640 by default.
        collect_device: ``cpu`` or ``gpu``, where distributed results are gathered.
        prefix: Put before the names, as ``prefix/ods``.

    Shape:
        ``data_sample['gt_edge_map']['data']`` ``(1, H, W)`` integer and
        ``data_sample['pred_edge_map']['data']`` ``(1, H, W)``, probabilities.

    Raises:
        ValueError: A negative tolerance, other shapes, or a data set without edges.

    Examples:
        >>> metric = EdgeMetric()
        >>> truth = torch.tensor([[[0, 1, 0]]])
        >>> sample = dict(gt_edge_map=dict(data=truth),
        ...               pred_edge_map=dict(data=truth.float()))
        >>> metric.process(None, [sample])
        >>> metric.evaluate(size=1)["ods"]
        100.0
    """

    # Not None: mmengine then warns that figures of two metrics may collide, which
    # evaluators with several metrics settle by their prefix.
    default_prefix = ""

    def __init__(
        self,
        tolerance: float = 0.0075,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if not tolerance >= 0:
            raise ValueError(f"tolerance must not be negative, got {tolerance}")
        self.tolerance = tolerance

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Append the counts of each image of a batch."""
        for sample in data_samples:
            edges = sample["pred_edge_map"]["data"]
            truth = truth_or_unknown(sample, "gt_edge_map", edges, UNKNOWN, torch.uint8)
            pred, target = (
                part.detach().squeeze(0).cpu().numpy() for part in (edges, truth)
            )
            try:
                counts = edge_counts(pred, target, self.tolerance)
            except ValueError as error:
                raise ValueError(f"{sample.get('img_path')}: {error}") from error
            known = int((target != UNKNOWN).sum())
            measured = int(np.isin(target, (0, 1)).sum())
            self.results.append((torch.from_numpy(counts), measured, known))

    def compute_metrics(
        self, results: list[tuple[Tensor, int, int]]
    ) -> dict[str, float]:
        """Return :func:`edge_figures` of all images and ``measured_share``."""
        if not results:
            raise ValueError("no image was evaluated: the data loader gave no sample")
        counts, measured, known = zip(*results, strict=True)
        left_out = "what is neither edge nor none counts nowhere"
        share = measured_share(sum(measured), sum(known), left_out)
        return dict(**edge_figures(torch.stack(counts)), measured_share=share)
