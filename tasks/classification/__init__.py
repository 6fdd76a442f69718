"""Image classification: linear head, top-1 and top-5."""

import cmim.safe_loading  # noqa: F401
from tasks.classification.head import LinearHead
from tasks.classification.metrics import ClassificationMetric
from tasks.classification.model import ImageClassifier
from tasks.classification.task import TASK

__all__ = ["TASK", "ClassificationMetric", "ImageClassifier", "LinearHead"]
