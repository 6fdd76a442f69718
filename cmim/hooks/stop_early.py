"""Ends a training whose validation no longer gets better."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import EarlyStoppingHook
from mmengine.registry import HOOKS

from cmim.data_parts import built_parts
from cmim.hooks.save_checkpoint import SaveCheckpoint

STATE = "early_stopping"


@HOOKS.register_module()
class StopEarly(EarlyStoppingHook):
    """mmengine's early stopping, never on the test split, and exact when resumed.

    The run ends with the step it stopped at in ``last.pth``. A resumed run counts on
    from what the checkpoint knows.

    Args:
        monitor: Name of the validation metric, e.g. ``'mIoU'``.
        rule: ``'greater'`` or ``'less'``: which values are better; by the metric's name
            when None.
        min_delta: What is less of a gain than this, in the metric's unit, is none;
            above 0.
        patience: Validations without a gain after which the run ends.

    Raises:
        ValueError: There are no validation data, they are the test split, or the metric
            does not exist.
    """

    def __init__(
        self,
        monitor: str,
        rule: str | None = None,
        min_delta: float = 0.01,
        patience: int = 5,
    ) -> None:
        if patience < 1:
            raise ValueError(f"patience must be at least 1 validation, got {patience}")
        if not min_delta > 0:
            raise ValueError(
                f"min_delta must be more than 0, got {min_delta}: with none, a metric "
                "that stays the same would never end the run"
            )
        super().__init__(monitor, rule, min_delta=min_delta, patience=patience)

    def before_train(self, runner: Any) -> None:
        if runner.val_loop is None:
            raise ValueError(
                "StopEarly needs validation data: give the config val_dataloader, "
                "val_cfg and val_evaluator, or leave the hook out"
            )
        parts = built_parts(runner.val_dataloader.dataset)
        if any(getattr(part, "split", None) == "test" for part in parts):
            raise ValueError(
                "the test split must not say when to stop: give val_dataloader "
                "split='val' with val_fraction, or leave StopEarly out"
            )
        due = runner.iter and runner.iter % runner.val_interval == 0
        if due and not any(saver.best for saver in _savers(runner)):
            # The checkpoint is written before its step is validated; where it keeps
            # the best one, its own hook validates.
            runner.val_loop.run()

    def before_save_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        checkpoint[STATE] = dict(best=self.best_score, waited=self.wait_count)

    def after_load_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        state = checkpoint.get(STATE)
        if runner._resume and state:
            self.best_score, self.wait_count = state["best"], state["waited"]

    def after_val_epoch(self, runner: Any, metrics: dict | None = None) -> None:
        if not runner.iter or metrics is None:
            return
        if self.monitor not in metrics:
            raise ValueError(
                f"metric {self.monitor!r} is not among those measured; "
                f"choose from {', '.join(metrics)}"
            )
        super().after_val_epoch(runner, metrics)
        if runner.train_loop.stop_training:
            runner.logger.info(f"stopped at step {runner.iter} of {runner.max_iters}")
            for saver in _savers(runner):
                saver.save(runner, runner.iter)


def _savers(runner: Any) -> list[SaveCheckpoint]:
    return [hook for hook in runner.hooks if isinstance(hook, SaveCheckpoint)]
