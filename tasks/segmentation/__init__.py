"""Semantic segmentation: DeepLab head, confusion-matrix metrics."""

import cmim.safe_loading  # noqa: F401
from tasks.segmentation.deeplab import DeepLabHead
from tasks.segmentation.metrics import SegmentationMetric
from tasks.segmentation.model import SegmentationModel
from tasks.segmentation.task import TASK

__all__ = ["TASK", "DeepLabHead", "SegmentationMetric", "SegmentationModel"]
