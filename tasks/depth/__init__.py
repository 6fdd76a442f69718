"""Monocular depth in metres: head, losses, metrics."""

import cmim.safe_loading  # noqa: F401
from tasks.depth.head import DepthHead
from tasks.depth.losses import DepthBerHuLoss, DepthL1Loss, DepthSILogLoss
from tasks.depth.metrics import DepthMetric
from tasks.depth.task import TASK

__all__ = [
    "TASK",
    "DepthBerHuLoss",
    "DepthHead",
    "DepthL1Loss",
    "DepthMetric",
    "DepthSILogLoss",
]
