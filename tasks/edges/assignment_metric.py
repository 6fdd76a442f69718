"""The benchmark BSDS's figures of edges, of one kind or of several classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmseg.registry import METRICS
from numpy.typing import NDArray
from torch import Tensor

from tasks.edges.assignment import assigned_counts
from tasks.edges.benchmark_figures import benchmark_figures
from tasks.edges.metrics import THRESHOLDS, UNKNOWN
from tasks.edges.thinning import thin
from tasks.ground_truth import truth_or_unknown
from tasks.measured_share import measured_share


def maps_of(sample: dict, prediction: str, truth: str) -> tuple[NDArray, NDArray]:
    """A prediction and its ground truth as arrays; unknown where there is none."""
    found = sample[prediction]["data"]
    known = truth_or_unknown(sample, truth, found, UNKNOWN, torch.uint8)
    return found.detach().cpu().numpy(), known.detach().cpu().numpy()


@METRICS.register_module()
class EdgeAssignmentMetric(BaseMetric):
    """Evaluate edge maps whose pixels are matched one to one, as BSDS does.

    ``ods`` and ``ois`` in percent, comparable with published ones where tolerance,
    ground truth and what is done to the maps are: BSDS's tolerance is 0.0075 of the
    diagonal, papers on NYUv2 take 0.011, and both measure lines that are one pixel
    wide. Here each thresholded map is thinned; papers on NYUv2 often suppress what is
    no maximum across the edge first, which is not done here. An image takes seconds.
    For the course of a training see :class:`tasks.edges.metrics.EdgeMetric`.

    Maps with several channels are of classes. Each has its own ODS and OIS (in
    ``classes_measured``); the figures are their means over the classes that the data
    set has edges of.

    Each image is reduced to integer counts of its own, so the figures do not depend on
    batch size or number of processes.

    Args:
        tolerance: Distance of a match in units of the image's diagonal.
        thin: Whether predicted and true edges are thinned, so that each is one pixel
            wide; the truth of the benchmark is. Else a prediction without a fault
            would miss the pixels that thinning takes off it. Not for lines that are
            thin.
        collect_device: ``cpu`` or ``gpu``, where distributed results are gathered.
        prefix: Put before the names, as ``prefix/ods``.

    Shape:
        ``data_sample['gt_edge_map']['data']`` ``(K, H, W)`` integer and
        ``data_sample['pred_edge_map']['data']`` ``(K, H, W)``, probabilities.

    Raises:
        ValueError: A negative tolerance, other shapes, or a data set without edges.

    Examples:
        >>> metric = EdgeAssignmentMetric()
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
        thin: bool = True,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if not tolerance >= 0:
            raise ValueError(f"tolerance must not be negative, got {tolerance}")
        self.tolerance = tolerance
        self.thin = thin
        #: Figures of each class of the last evaluation, None for one without edges.
        self.classes_measured: dict[str, dict[str, float | None]] = {}

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Append the counts of each image of a batch."""
        for sample in data_samples:
            pred, target = self.edges_of(sample)
            try:
                counts = self._counts(pred, target)
            except ValueError as error:
                raise ValueError(f"{sample.get('img_path')}: {error}") from error
            known = int((target != UNKNOWN).sum())
            measured = int(np.isin(target, (0, 1)).sum())
            self.results.append((torch.from_numpy(counts), measured, known))

    def edges_of(self, sample: dict) -> tuple[NDArray, NDArray]:
        """Predicted and true edges ``(K, H, W)`` of a sample."""
        return maps_of(sample, "pred_edge_map", "gt_edge_map")

    def _counts(self, pred: NDArray, target: NDArray) -> NDArray:
        if pred.shape != target.shape:
            raise ValueError(
                f"predicted edges have shape {pred.shape} and the ground truth "
                f"{target.shape}; both must be the same (K, H, W)"
            )
        counts = [
            assigned_counts(plane, self._lines(truth), self.tolerance, self.thin)
            # Most of many classes are not in a picture.
            if plane.any() or truth.any()
            else np.zeros((len(THRESHOLDS), 4), np.int64)
            for plane, truth in zip(pred, target, strict=True)
        ]
        return np.stack(counts)

    def _lines(self, truth: NDArray) -> NDArray:
        """True edges one pixel wide; what is taken off them is no edge."""
        if not self.thin or not np.isin(truth, (0, 1, UNKNOWN)).all():
            return truth
        return np.where((truth == 1) & ~thin(truth == 1), 0, truth)

    def compute_metrics(
        self, results: list[tuple[Tensor, int, int]]
    ) -> dict[str, float]:
        """Return the means over classes and ``measured_share``."""
        if not results:
            raise ValueError("no image was evaluated: the data loader gave no sample")
        counts, measured, known = zip(*results, strict=True)
        left_out = "what is neither edge nor none counts nowhere"
        share = measured_share(sum(measured), sum(known), left_out)
        # (images, classes, thresholds, 4) to figures of each class.
        classes = torch.stack(counts).unbind(dim=1)
        there = [bool(counted[:, 0, 3].sum()) for counted in classes]
        found = [
            benchmark_figures(counted)
            for counted, has_edges in zip(classes, there, strict=True)
            if has_edges or not any(there)
        ]
        self._note_classes(found, there)
        if len(classes) == 1:
            return dict(**found[0], measured_share=share)
        means = {n: float(np.mean([f[n] for f in found])) for n in ("ods", "ois")}
        return dict(**means, measured_share=share)

    def _note_classes(self, found: list[dict[str, float]], there: list[bool]) -> None:
        if len(there) == 1:
            return
        names = (self.dataset_meta or {}).get("classes") or range(len(there))
        figures = iter(found)
        self.classes_measured = {
            str(name): {
                key: round(value, 4)
                for key, value in next(figures).items()
                if key in ("ods", "ois")
            }
            if has_edges
            else dict(ods=None, ois=None)
            for name, has_edges in zip(names, there, strict=True)
        }
