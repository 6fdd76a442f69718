"""Values of a config: of the kind that a component takes, and not below a minimum."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from cmim.engine.config_error import ConfigError
from cmim.engine.sentences import is_library_module
from cmim.naming import check_kind

# Smallest sensible value of options, wherever they are; numbers in a list alike.
MINIMA = {
    "batch_size": 1,
    "num_workers": 0,
    "prefetch_factor": 1,
    "max_iters": 1,
    "max_epochs": 1,
    "val_interval": 1,
    "num_classes": 1,
    "in_channels": 1,
    "channels": 1,
    "base_channels": 1,
    "crop_size": 1,
    "base_size": 1,
    "lr": 0,
    "weight_decay": 0,
    "accumulative_counts": 1,
    "max_norm": 0,
}
# What a top-level key has to be.
PARTS: dict[str, tuple[type, ...]] = {
    "model": (dict,),
    "train_cfg": (dict,),
    "val_cfg": (dict,),
    "test_cfg": (dict,),
    "train_dataloader": (dict,),
    "val_dataloader": (dict,),
    "test_dataloader": (dict,),
    "optim_wrapper": (dict,),
    "param_scheduler": (list, dict),
    "val_evaluator": (list, dict),
    "test_evaluator": (list, dict),
    "default_hooks": (dict,),
    "custom_hooks": (list,),
    "randomness": (dict,),
    "env_cfg": (dict,),
}
_WORDS = {dict: "a dict", list: "a list"}
_NUMBERS = {"int", "float"}


def check_values(config: Any, file: str) -> None:
    """Refuse values that no component can mean.

    Args:
        config: A config, or a part of it.
        file: Its file, for messages.

    Raises:
        ConfigError: A part that is no part, an option of another kind than its
            component's annotation says, or a number below its minimum.

    Examples:
        >>> check_values(dict(train_dataloader=dict(batch_size=0)), "a.py")
        Traceback (most recent call last):
        cmim.engine.config_error.ConfigError: config 'a.py':
        train_dataloader.batch_size must be at least 1, got 0
    """
    for key, kinds in PARTS.items():
        value = config.get(key)
        if value is not None and not isinstance(value, kinds):
            raise ConfigError(
                f"config '{file}': {key} must be "
                f"{' or '.join(_WORDS[k] for k in kinds)}, got {value!r}"
            )
    for path, node in parts_of(config):
        for name, value in node.items():
            if name in MINIMA:
                _check_minimum(f"config '{file}': {path}{name}", value, MINIMA[name])
        _check_kinds(node, f"config '{file}': {path.rstrip('.')}")


def parts_of(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every dict in a config with its place, ``'model.backbone.'``; outer ones first.

    Examples:
        >>> [p for p, _ in parts_of({"a": {"b": [{"c": 1}]}})]
        ['', 'a.', 'a.b.0.']
    """
    if isinstance(node, dict) or hasattr(node, "_cfg_dict"):
        yield path, node
        for name, value in node.items():
            yield from parts_of(value, f"{path}{name}.")
    elif isinstance(node, (list, tuple)):
        for place, value in enumerate(node):
            yield from parts_of(value, f"{path}{place}.")


def _check_minimum(where: str, value: Any, least: int) -> None:
    for number in value if isinstance(value, (list, tuple)) else [value]:
        if isinstance(number, str) and not isinstance(value, (list, tuple)):
            raise ConfigError(f"{where} must be a number, got {number!r}")
        if isinstance(number, (int, float)) and not number >= least:
            raise ConfigError(f"{where} must be at least {least}, got {value!r}")
        if isinstance(number, float) and math.isinf(number):
            raise ConfigError(f"{where} must be finite, got {value!r}")


def _check_kinds(node: Any, where: str) -> None:
    kind = node.get("type")
    if not callable(kind):
        return
    for option, value in node.items():
        annotation = _annotations(kind).get(option)
        if annotation is None:
            continue
        if is_library_module(kind.__module__) and not _is_word(annotation, value):
            # Their annotations are not kept to everywhere.
            continue
        try:
            check_kind(f"{where} ({kind.__name__})", option, annotation, value)
        except ValueError as error:
            raise ConfigError(str(error)) from None


def _is_word(annotation: Any, value: Any) -> bool:
    """Whether a word was given for a number."""
    text = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    return isinstance(value, str) and text in _NUMBERS


@cache
def _annotations(kind: Callable[..., Any]) -> dict[str, Any]:
    try:
        parameters = inspect.signature(kind).parameters.values()
    except (TypeError, ValueError):
        return {}
    return {p.name: p.annotation for p in parameters if p.annotation is not p.empty}
