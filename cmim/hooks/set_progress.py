"""Tells scheduled binarizers how much of the training is done."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from cmim.methods import Scheduled


@HOOKS.register_module()
class SetProgress(Hook):
    """Set ``progress = step / max_iters`` in every scheduled module before each step.

    It is a function of the step alone, so a resumed run continues its schedules where
    the uninterrupted one is. Costs nothing where no module is scheduled.
    """

    priority = "VERY_HIGH"

    def __init__(self) -> None:
        self._scheduled: list[Scheduled] = []

    def before_train(self, runner: Any) -> None:
        self._scheduled = [
            m for m in runner.model.modules() if isinstance(m, Scheduled)
        ]

    def before_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None
    ) -> None:
        if self._scheduled:
            progress = runner.iter / runner.max_iters
            for module in self._scheduled:
                module.set_progress(progress)
