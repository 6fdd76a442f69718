"""Keeps the last checkpoint, and the best one where a validation split exists."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

from mmengine.dist import all_reduce_params, get_world_size
from mmengine.hooks import Hook
from mmengine.logging import MessageHub
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from torch import nn

from cmim.checkpoint import structure
from cmim.data_parts import built_parts
from cmim.hooks.stop_when_diverged import stop_if_diverged
from cmim.identity import identity_of

RULES = {"greater": 1.0, "less": -1.0}


@HOOKS.register_module()
class SaveCheckpoint(Hook):
    """Write ``last.pth`` regularly and at the end, ``best.pth`` on validation.

    The new file is complete before the old one goes: at any moment, also after
    ``kill -9``, the folder holds a whole checkpoint.

    Args:
        interval: Steps between checkpoints.
        best: Name of the validation metric that selects ``best.pth``, e.g. ``'mIoU'``.
        rule: ``'greater'`` or ``'less'``: which values of ``best`` are better.

    Raises:
        ValueError: ``best`` is used where there are no validation data, where they are
            the test split, or the metric does not exist.
    """

    priority = "VERY_LOW"

    def __init__(
        self, interval: int = 500, best: str | None = None, rule: str = "greater"
    ) -> None:
        if rule not in RULES:
            raise ValueError(f"rule {rule!r} is unknown; choose from greater, less")
        if interval <= 0:
            raise ValueError(f"interval must be positive, got {interval}")
        self.interval = interval
        self.best = best
        self.rule = rule

    def before_train(self, runner: Any) -> None:
        if self.best is None:
            return
        self._check_validation(runner)
        due = runner.iter % runner.val_interval == 0 or runner.iter == runner.max_iters
        if runner.iter and due:
            # The checkpoint is written before its step is validated: a run killed in
            # between does that validation now.
            runner.val_loop.run()

    def _check_validation(self, runner: Any) -> None:
        if runner.val_loop is None:
            raise ValueError(
                f"best={self.best!r} needs validation data: give the config "
                "val_dataloader, val_cfg and val_evaluator, or set "
                "default_hooks.checkpoint.best=None"
            )
        if runner.val_begin > runner.max_iters:
            raise ValueError(
                f"best={self.best!r} needs a validation, and the first one would be at "
                f"step {runner.val_begin} of {runner.max_iters}: lower "
                "train_cfg.val_begin"
            )
        parts = built_parts(runner.val_dataloader.dataset)
        if any(getattr(part, "split", None) == "test" for part in parts):
            raise ValueError(
                "the test split must not select a checkpoint: give val_dataloader "
                "split='val' with val_fraction, or set best=None"
            )

    def before_save_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        # The log history is a class that only an unsafe load could restore, and no
        # step depends on it; the best score so far is all that a resumed run needs.
        kept = runner.message_hub.runtime_info.get("best_score")
        info = {} if kept is None else {"best_score": kept}
        checkpoint["message_hub"] = dict(
            log_scalars={}, runtime_info=info, resumed_keys={}
        )
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        checkpoint["structure"] = structure(model)
        if runner.cfg.get("model"):
            checkpoint["identity"] = identity_of(runner.cfg)
        checkpoint["meta"].update(
            max_iters=runner.max_iters,
            world_size=runner.world_size,
            train_images=len(runner.train_dataloader.dataset),
        )

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        if self.every_n_train_iters(runner, self.interval) or self.is_last_train_iter(
            runner
        ):
            self.save(runner, runner.iter + 1)

    def save(self, runner: Any, step: int) -> None:
        """Write ``last.pth``, as after so many steps."""
        stop_if_diverged(runner)
        _share_statistics(runner.model)
        new = _write(runner, dict(epoch=runner.epoch, iter=step))
        if runner.rank == 0:
            last = new.with_name("last.pth")
            if last.exists():
                os.replace(last, new.with_name("previous.pth"))
            os.replace(new, last)

    def after_val_epoch(self, runner: Any, metrics: dict | None = None) -> None:
        if self.best is None or not metrics or not runner.iter:
            return
        if self.best not in metrics:
            raise ValueError(
                f"metric {self.best!r} is not among those measured; "
                f"choose from {', '.join(metrics)}"
            )
        score = float(metrics[self.best])
        hub: MessageHub = runner.message_hub
        known = hub.runtime_info.get("best_score")
        sign = RULES[self.rule]
        # A figure of a diverged model is never better, nor is it to be beaten.
        if not math.isfinite(score):
            runner.logger.warning(
                f"{self.best} is {score} at step {runner.iter}: not for best.pth"
            )
            return
        if known is not None and sign * score <= sign * known:
            return
        hub.update_info("best_score", score)
        new = _write(
            runner,
            dict(epoch=runner.epoch, iter=runner.iter),
            save_optimizer=False,
            save_param_scheduler=False,
        )
        if runner.rank == 0:
            os.replace(new, new.with_name("best.pth"))
        runner.logger.info(f"best.pth: {self.best} {score:.4f} at step {runner.iter}")


def _write(runner: Any, meta: dict, **options: bool) -> Path:
    """Write ``new.pth``; what is cut short, on a full disk, does not stay on it."""
    new = Path(runner.work_dir) / "new.pth"
    try:
        runner.save_checkpoint(
            str(new.parent), new.name, meta=meta, by_epoch=False, **options
        )
    except OSError as error:
        new.unlink(missing_ok=True)
        # A write that fails does not say into which file.
        raise OSError(error.errno, error.strerror, str(new)) from error
    return new


def _share_statistics(model: nn.Module) -> None:
    """Average batch-norm statistics over processes, so that ranks test one model.

    Without it (and without ``sync_bn``) each rank would evaluate with the statistics of
    its own share of the data, and the checkpoint would hold those of rank 0.
    """
    if get_world_size() > 1:
        norms = [
            m for m in model.modules() if isinstance(m, nn.modules.batchnorm._NormBase)
        ]
        means = [m.running_mean for m in norms if m.running_mean is not None]
        variances = [m.running_var for m in norms if m.running_var is not None]
        all_reduce_params(means + variances, op="mean")
