"""Choices without the test frames: every loader moves to the validation split."""

from __future__ import annotations

from typing import Any

from cmim.data_parts import data_parts, kind_of
from cmim.engine.config_error import ConfigError
from cmim.engine.loader_options import LOADERS

#: The top-level key, in a config or as an override, that asks for it.
KEY = "model_selection"


def fit_selection(config: Any) -> None:
    """With ``model_selection=True`` train on a part and evaluate on the validation.

    Each data set says by ``VALIDATION_SPLITS`` what stands for its splits then, so that
    no choice (method, loss, weights of losses, number of steps) looks at the test
    frames.

    Args:
        config: Gives the loaders; changed in place.

    Raises:
        ConfigError: The value is no truth value, or a data set has no fixed validation
            split.

    Examples:
        >>> fit_selection(dict(model_selection="yes"))
        Traceback (most recent call last):
        cmim.engine.config_error.ConfigError: model_selection must be True or False, ...
    """
    wanted = config.get(KEY) or False
    if not isinstance(wanted, bool):
        raise ConfigError(f"{KEY} must be True or False, got {wanted!r}")
    if not wanted:
        return
    for loader in LOADERS:
        for place, part in data_parts(config, loader):
            kind = kind_of(part)
            splits = getattr(kind, "VALIDATION_SPLITS", None)
            if splits is None:
                raise ConfigError(
                    f"{KEY}=True, but {place} is a "
                    f"{getattr(kind, '__name__', kind)}, which has no fixed validation "
                    "split; give train_dataloader and test_dataloader splits without "
                    f"the test frames yourself and leave {KEY} out"
                )
            part["split"] = splits.get(part.get("split"), part.get("split"))
