"""F-measures of matched edge pixels as the benchmark BSDS computes them."""

from __future__ import annotations

import torch
from torch import Tensor

from tasks.edges.metrics import THRESHOLDS, f_measure

#: Places between two thresholds, ends included, at which the benchmark looks for ODS.
BETWEEN = 100


def precision_recall(counts: Tensor) -> tuple[Tensor, Tensor]:
    """Shares of matched, predicted, matched, true pixels; 0 for 0 / 0.

    Shape:
        counts ``(*, 4)``; outputs ``(*)`` float64.

    Examples:
        >>> [share.tolist() for share in precision_recall(torch.tensor([1, 2, 1, 4]))]
        [0.5, 0.25]
    """
    right, predicted, found, true = counts.double().unbind(dim=-1)
    return right / predicted.clamp(min=1), found / true.clamp(min=1)


def optimal_dataset_scale(counts: Tensor) -> dict[str, float]:
    """The best F-measure of pooled counts, precision, recall and threshold there.

    The benchmark looks between the thresholds, too: precision and recall are taken to
    be linear there.

    Args:
        counts: Of all images together.

    Shape:
        counts ``(99, 4)``.

    Examples:
        Precision falls from 1 to 1/2 while recall rises from 1/2 to 1; between them,
        at 3/4 each, F is 3/4 instead of 2/3. (Of a hundred places none is the middle.)

        >>> counts = torch.tensor([[4, 8, 4, 4]] * 50 + [[2, 2, 2, 4]] * 49)
        >>> found = optimal_dataset_scale(counts)
        >>> {name: round(value, 3) for name, value in found.items()}
        {'ods': 74.999, 'precision': 75.253, 'recall': 74.747, 'threshold': 0.505}
    """
    share = torch.linspace(0, 1, BETWEEN, dtype=torch.float64)
    precision, recall = (
        part[1:, None] * share + part[:-1, None] * (1 - share)
        for part in precision_recall(counts)
    )
    both = precision + recall
    measure = 2 * precision * recall / torch.where(both > 0, both, 1)
    step, place = divmod(int(measure.argmax()), BETWEEN)
    low, high = THRESHOLDS[step : step + 2]
    weight = float(share[place])
    return dict(
        ods=100 * float(measure[step, place]),
        precision=100 * float(precision[step, place]),
        recall=100 * float(recall[step, place]),
        threshold=float(weight * high + (1 - weight) * low),
    )


def optimal_image_scale(counts: Tensor) -> float:
    """F-measure of the images' counts, each at its own best threshold, in percent.

    Shape:
        counts ``(images, 99, 4)``.
    """
    own = f_measure(counts).argmax(dim=1)
    return 100 * f_measure(counts[torch.arange(len(counts)), own].sum(dim=0)).item()


def benchmark_figures(counts: Tensor) -> dict[str, float]:
    """ODS and OIS of a data set, in percent.

    Args:
        counts: :func:`tasks.edges.assignment.assigned_counts` of each image.

    Returns:
        ``ods`` with its ``precision``, ``recall`` and ``threshold``; ``ois``.

    Shape:
        counts ``(images, 99, 4)``.

    Raises:
        ValueError: If no image has an edge.

    References:
        Arbelaez et al., Contour Detection and Hierarchical Image Segmentation, TPAMI
        2011 (ODS and OIS).
    """
    if not counts[:, 0, 3].sum():
        raise ValueError(
            f"none of the {len(counts)} images has an edge: check the labels that "
            "AddEdges reads"
        )
    found = optimal_dataset_scale(counts.sum(dim=0))
    return dict(ods=found.pop("ods"), ois=optimal_image_scale(counts), **found)
