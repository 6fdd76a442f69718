"""Measures where the time of a training run goes."""

from __future__ import annotations

import time
from typing import Any, TypedDict

from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.registry import HOOKS


class TimingFigures(TypedDict, total=False):
    """How long a training took; without steps there are minutes alone.

    Attributes:
        minutes: From the first step to the last, of all starts together.
        images_per_second: Throughput of the steps.
        data_wait_share: Part of their time that was spent waiting for data, 0 to 1.
    """

    minutes: float
    images_per_second: float
    data_wait_share: float


@HOOKS.register_module()
class RecordTiming(Hook):
    """Totals for the run's record: images, seconds training, seconds waiting for data.

    Images are those of all processes; seconds are the first one's.

    The first ``warmup`` steps are left out: workers start and caches fill in them.

    Args:
        warmup: Steps not counted.
    """

    # After all other hooks: logging and saving count as training, not as waiting.
    priority = "LOWEST"

    def __init__(self, warmup: int = 20) -> None:
        self.warmup = warmup
        self.images = 0
        self.seconds = 0.0
        self.waited = 0.0
        self._mark: float | None = None
        self._started = 0.0
        self._steps = 0
        self._before = 0.0
        self._begin = time.perf_counter()

    def before_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None
    ) -> None:
        now = time.perf_counter()
        if self._mark is not None and self._steps >= self.warmup:
            self.waited += now - self._mark
            self.seconds += now - self._mark
        self._started = now

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        now = time.perf_counter()
        if self._steps >= self.warmup:
            self.seconds += now - self._started
            self.images += len(data_batch["inputs"]) * get_world_size()
        self._steps += 1
        self._mark = now

    def before_val(self, runner: Any) -> None:
        self._mark = None

    def after_val(self, runner: Any) -> None:
        self._mark = None

    def before_save_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        checkpoint["timing"] = dict(
            images=self.images,
            seconds=self.seconds,
            waited=self.waited,
            elapsed=self._elapsed(),
        )

    def after_load_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        # A resumed run goes on counting.
        timing = checkpoint.get("timing", {})
        self.images = timing.get("images", 0)
        self.seconds = timing.get("seconds", 0.0)
        self.waited = timing.get("waited", 0.0)
        self._before = timing.get("elapsed", 0.0)

    def before_train(self, runner: Any) -> None:
        self._begin = time.perf_counter()

    def _elapsed(self) -> float:
        return self._before + time.perf_counter() - self._begin

    def figures(self) -> TimingFigures:
        """``minutes``, ``images_per_second`` and ``data_wait_share`` of the run."""
        minutes = round(self._elapsed() / 60, 2)
        if not self.seconds:
            return TimingFigures(minutes=minutes)
        return TimingFigures(
            minutes=minutes,
            images_per_second=round(self.images / self.seconds, 2),
            data_wait_share=round(self.waited / self.seconds, 4),
        )
