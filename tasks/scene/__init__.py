"""Scene classification: which of the 27 kinds of scene a frame shows.

Head and metric are those of :mod:`tasks.classification`, ``LinearHead`` and
``ClassificationMetric``.
"""

import cmim.safe_loading  # noqa: F401
from tasks.scene.ground_truth import AddScene
from tasks.scene.task import TASK

__all__ = ["TASK", "AddScene"]
