"""Runs are counted in steps: loops and schedules that count epochs are refused."""

from __future__ import annotations

from typing import Any

from mmengine.config import Config

from cmim.engine.config import ConfigError

_WHY = "runs are counted in steps here, so that they resume exactly"


def check_loop(config: Config) -> None:
    """Refuse a training loop, or a hook's option, that counts epochs.

    Args:
        config: A config with ``train_cfg``.

    Raises:
        ConfigError: Epochs, no number of steps, or one that is not positive.
    """
    loop = config.get("train_cfg")
    if loop is None or config.get("train_dataloader") is None:
        raise ConfigError(
            f"config '{config.filename}' has no train_cfg or no train_dataloader: it "
            "can be tested, not trained"
        )
    kind = loop.get("type")
    name = getattr(kind, "__name__", str(kind)).rsplit(".", 1)[-1]
    epochs = loop.get("max_epochs")
    if epochs is not None or loop.get("by_epoch") or name == "EpochBasedTrainLoop":
        raise ConfigError(
            f"train_cfg counts epochs (max_epochs={epochs}): {_WHY}; give "
            "train_cfg.type=IterBasedTrainLoop and, instead of max_epochs, "
            "train_cfg.max_iters = epochs * images / batch size"
        )
    steps = loop.get("max_iters")
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise ConfigError(
            f"train_cfg.max_iters is {steps!r}; expected the number of training steps, "
            "a whole number of at least 1"
        )
    for hook in config.get("custom_hooks") or []:
        if hook.get("begin_epoch"):
            raise ConfigError(
                f"the hook {hook.get('type')} begins at an epoch (begin_epoch="
                f"{hook['begin_epoch']}): {_WHY}; give its begin_iter instead"
            )


def fit_schedules(config: Config) -> None:
    """Let schedules without an end run to the last step.

    ``train_cfg.max_iters=...`` alone then shortens a run, decay included; a run that
    ends within its warm-up has no decay.

    Args:
        config: A config; changed in place.

    Raises:
        ConfigError: A schedule that counts epochs, and would never move.
    """
    steps = config.train_cfg.max_iters
    schedulers = config.get("param_scheduler") or []
    if isinstance(schedulers, dict):
        schedulers = [schedulers]
    for number, scheduler in enumerate(schedulers):
        _check_schedule(scheduler, number)
    kept = [s for s in schedulers if "end" in s or s.get("begin", 0) < steps]
    for scheduler in kept:
        scheduler.setdefault("end", steps)
    config.param_scheduler = kept


def _check_schedule(scheduler: Any, number: int) -> None:
    # True is mmengine's default.
    if scheduler.get("by_epoch", True):
        raise ConfigError(
            f"param_scheduler.{number} counts epochs (by_epoch=True, the default): "
            f"{_WHY}; give by_epoch=False, and begin and end in steps"
        )
