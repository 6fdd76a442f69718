"""Values of a config: of the kind that a component takes, and not below a minimum."""

from __future__ import annotations

import inspect
import logging
import math
import re
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
    "size": 1,
    "shorter": 1,
    "limit": 1,
    "lr": 0,
    "weight_decay": 0,
    "accumulative_counts": 1,
    "max_norm": 0,
}
# More than zero: images are divided by it.
ABOVE_ZERO = {"std"}
NEVER_NONE = {"batch_size", "num_workers", "max_iters", "max_epochs", "val_interval"}
NEVER_NONE |= {"crop_size", "lr"}
# All that mmengine reads of these parts; the rest would be ignored.
OPTIONS = {
    "randomness": {"seed", "diff_rank_seed", "deterministic"},
    "env_cfg": {"cudnn_benchmark", "mp_cfg", "dist_cfg", "resource_limit"},
}
LARGEST_SEED = 2**32 - 1
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
    "visualizer": (dict,),
    "find_unused_parameters": (bool,),
}
_WORDS = {dict: "a dict", list: "a list", bool: "True or False"}
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
        train_dataloader.batch_size must be at least 1 and finite, got 0
    """
    for key, kinds in PARTS.items():
        value = config.get(key)
        if value is not None and not isinstance(value, kinds):
            raise ConfigError(
                f"config '{file}': {key} must be "
                f"{' or '.join(_WORDS[k] for k in kinds)}, got {value!r}"
            )
    _check_top(config, f"config '{file}': ")
    for path, node in parts_of(config):
        for name, value in node.items():
            if name == "metainfo" and not isinstance(value, (dict, type(None))):
                raise ConfigError(
                    f"config '{file}': {path}{name} must be a dict, got {value!r}"
                )
            if name in MINIMA or name in ABOVE_ZERO:
                _check_numbers(f"config '{file}': {path}{name}", name, value)
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


def _check_top(config: Any, where: str) -> None:
    """Parts that mmengine reads without saying what it does not know."""
    for part, known in OPTIONS.items():
        unknown = sorted(set(config.get(part) or ()) - known)
        if unknown:
            raise ConfigError(
                f"{where}{part} has no option '{unknown[0]}'; it accepts "
                f"{', '.join(sorted(known))}"
            )
    seed = (config.get("randomness") or {}).get("seed")
    whole = isinstance(seed, int) and not isinstance(seed, bool)
    if seed is not None and not (whole and 0 <= seed <= LARGEST_SEED):
        raise ConfigError(
            f"{where}randomness.seed must be a whole number from 0 to {LARGEST_SEED}, "
            f"got {seed!r}"
        )
    level = config.get("log_level", "INFO")
    if level not in logging._nameToLevel:
        raise ConfigError(
            f"{where}log_level {level!r} is unknown; choose from DEBUG, INFO, WARNING, "
            "ERROR"
        )
    kinds = (None, False, "torch", "mmcv")
    if config.get("sync_bn") not in kinds:
        raise ConfigError(
            f"{where}sync_bn {config['sync_bn']!r} is unknown; choose from torch, "
            "mmcv, None"
        )
    for name in ("default_hooks", "env_cfg"):
        if name in config and config[name] is None:
            raise ConfigError(f"{where}{name} must be a dict, got None")


def _check_numbers(where: str, name: str, value: Any) -> None:
    """One number, or several, not too small."""
    several = isinstance(value, (list, tuple))
    least = MINIMA.get(name, 0)
    wanted = f"at least {least}" if name in MINIMA else f"more than {least}"
    if value is None and name in NEVER_NONE:
        raise ConfigError(f"{where} must be {wanted}, got None")
    for number in value if several else [value]:
        if isinstance(number, bool) or (isinstance(number, str) and not several):
            # True counts as 1 in Python.
            raise ConfigError(f"{where} must be a number, got {number!r}")
        if not isinstance(number, (int, float)):
            continue
        enough = number >= least if name in MINIMA else number > least
        if not enough or math.isinf(number):
            raise ConfigError(f"{where} must be {wanted} and finite, got {value!r}")


def _check_kinds(node: Any, where: str) -> None:
    kind = node.get("type")
    if not callable(kind):
        return
    for option, value in node.items():
        annotation = _annotations(kind).get(option)
        if annotation is None:
            continue
        if is_library_module(kind.__module__) and not _is_no_number(annotation, value):
            # Their annotations are not kept to everywhere.
            continue
        try:
            _check_list(option, annotation, value)
            check_kind(f"{where} ({kind.__name__})", option, annotation, value)
        except ValueError as error:
            text = str(error)
            text = text if text.startswith(where) else f"{where}.{text}"
            raise ConfigError(text) from None


def _check_list(option: str, annotation: Any, value: Any) -> None:
    """Refuse one number where several are wanted, and another number of them."""
    text = str(annotation).removesuffix(" | None")
    if value is None and text != str(annotation):
        return
    pair = re.fullmatch(r"tuple\[((?:int|float)(?:, (?:int|float))*)\]", text)
    several = pair or re.fullmatch(r"(Sequence|tuple|list)\[(int|float).*\]", text)
    if several is None or "|" in text:
        return
    count = pair[1].count(",") + 1 if pair else None
    wanted = f"{count or 'several'} numbers"
    if not isinstance(value, (list, tuple)) or (count and len(value) != count):
        raise ValueError(f"{option} must be {wanted}, got {value!r}")
    kinds = (int, float)
    if not all(isinstance(n, kinds) and not isinstance(n, bool) for n in value):
        raise ValueError(f"{option} must be {wanted}, got {value!r}")


def _is_no_number(annotation: Any, value: Any) -> bool:
    """Whether a word, or True or False, was given for a number."""
    text = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    return isinstance(value, (str, bool)) and text in _NUMBERS


@cache
def _annotations(kind: Callable[..., Any]) -> dict[str, Any]:
    try:
        parameters = inspect.signature(kind).parameters.values()
    except (TypeError, ValueError):
        return {}
    return {p.name: p.annotation for p in parameters if p.annotation is not p.empty}
