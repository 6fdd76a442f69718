"""Semantic segmentation: DeepLab head, confusion-matrix metrics."""

from tasks.segmentation.deeplab import DeepLabHead
from tasks.segmentation.metrics import SegmentationMetric
from tasks.segmentation.model import SegmentationModel

__all__ = ["DeepLabHead", "SegmentationMetric", "SegmentationModel"]
