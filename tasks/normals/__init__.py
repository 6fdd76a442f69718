"""Surface normals: ground truth from depth, head, losses, metric."""

import cmim.safe_loading  # noqa: F401
from tasks.normals.ground_truth import AddNormals
from tasks.normals.head import NormalHead
from tasks.normals.losses import NormalAngularLoss, NormalCosineLoss
from tasks.normals.metrics import NormalMetric
from tasks.normals.task import TASK

__all__ = [
    "TASK",
    "AddNormals",
    "NormalAngularLoss",
    "NormalCosineLoss",
    "NormalHead",
    "NormalMetric",
]
