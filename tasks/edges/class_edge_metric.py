"""Edges of each class in maps of predicted classes, as the benchmark BSDS measures."""

from __future__ import annotations

import numpy as np
from mmseg.registry import METRICS
from numpy.typing import NDArray

from tasks.edges.assignment_metric import EdgeAssignmentMetric, maps_of
from tasks.edges.ground_truth import class_edges


@METRICS.register_module()
class ClassEdgeMetric(EdgeAssignmentMetric):
    """Evaluate where segmentations put the borders of each class.

    Edges are made of the predicted classes as the true ones are made of the labels
    (:func:`tasks.edges.ground_truth.class_edges`), and matched one to one. ``ods`` is
    the mean over classes of the F-measure, ``classes_measured`` has each class's own.
    There are no thresholds, so that ``ois`` is the same. It goes beside other metrics:
    ``test_evaluator.append(dict(type=ClassEdgeMetric, prefix="edges"))`` in a config.

    Args:
        tolerance: Distance of a match in units of the image's diagonal; 0.011 is usual
            on NYUv2.
        bridge: Void strips of up to twice this many pixels are closed: labels by hand
            leave them between things, where edges belong.
        margin: Pixels this near to void that is left count nowhere.
        collect_device: ``cpu`` or ``gpu``, where distributed results are gathered.
        prefix: Put before the names, as ``prefix/ods``.

    Shape:
        ``data_sample['gt_sem_seg']['data']`` ``(1, H, W)`` integer and
        ``data_sample['pred_sem_seg']['data']`` the same.

    Raises:
        ValueError: A negative distance, other shapes, or a data set without edges or
            names of classes.

    Examples:
        >>> metric = ClassEdgeMetric()
        >>> metric.dataset_meta = dict(classes=("wall", "bed"))
        >>> import torch
        >>> labels = dict(data=torch.tensor([[[0, 0, 1, 1]] * 3]))
        >>> metric.process(None, [dict(gt_sem_seg=labels, pred_sem_seg=labels)])
        >>> metric.evaluate(size=1)["ods"]
        100.0
    """

    def __init__(
        self,
        tolerance: float = 0.011,
        bridge: int = 4,
        margin: int = 6,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(tolerance, True, collect_device, prefix)
        if min(bridge, margin) < 0:
            raise ValueError(
                f"bridge and margin must not be negative, got {bridge} and {margin}"
            )
        self.bridge = bridge
        self.margin = margin

    def edges_of(self, sample: dict) -> tuple[NDArray, NDArray]:
        """Edges of the classes that are predicted, and of the true ones."""
        pred, target = (
            found[0].astype(np.uint8)
            for found in maps_of(sample, "pred_sem_seg", "gt_sem_seg")
        )
        names = (self.dataset_meta or {}).get("classes")
        if not names:
            raise ValueError(
                "the test data names no classes, whose edges are to be measured: give "
                "metainfo=dict(classes=...) to its data set"
            )
        classes = len(names)
        true = class_edges(target, classes, self.bridge, self.margin)
        return class_edges(pred, classes).astype(np.float32), true
