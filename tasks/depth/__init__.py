"""Monocular depth in metres: head, losses, metrics."""

from tasks.depth.head import DepthHead
from tasks.depth.losses import DepthBerHuLoss, DepthL1Loss, DepthSILogLoss
from tasks.depth.metrics import DepthMetric

__all__ = [
    "DepthBerHuLoss",
    "DepthHead",
    "DepthL1Loss",
    "DepthMetric",
    "DepthSILogLoss",
]
