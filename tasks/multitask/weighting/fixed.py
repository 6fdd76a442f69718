"""Weights that the config gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mmseg.registry import MODELS
from torch import Tensor

from tasks.multitask.weighting.task_weights import TaskWeights


@MODELS.register_module()
class FixedWeights(TaskWeights):
    """The weights that the config gives.

    Args:
        tasks: Names of the tasks; the model gives them.
        weights: Weight by task, >= 0; 1 for tasks that are not named.

    Raises:
        ValueError: A weight of a task that is not there, or a negative one.

    Examples:
        >>> FixedWeights(["seg", "depth"], dict(depth=0.5))([], [])
        ((1.0, 0.5), {})
    """

    def __init__(
        self, tasks: Sequence[str], weights: Mapping[str, float] | None = None
    ) -> None:
        super().__init__(tasks)
        weights = dict(weights or {})
        unknown = sorted(set(weights) - set(tasks))
        if unknown:
            raise ValueError(
                f"task weight of {unknown[0]!r}, but the tasks are {', '.join(tasks)}"
            )
        self.weights = tuple(float(weights.get(task, 1.0)) for task in tasks)
        if not min(self.weights) >= 0:
            raise ValueError(f"task weights must not be negative, got {weights}")

    def forward(
        self, totals: Sequence[Tensor], present: Sequence[bool]
    ) -> tuple[Sequence[Tensor | float], dict[str, Tensor]]:
        return self.weights, {}


WEIGHTING = FixedWeights
