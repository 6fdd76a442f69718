"""How a task model sees a picture: whole, or in windows (the model's ``test_cfg``)."""

from __future__ import annotations

from typing import Any

from cmim.task_model import describe

MODES = ("whole", "slide")
OPTIONS = ("mode", "crop_size", "stride")


def fit_test_cfg(task_model: dict, error: type[ValueError] = ValueError) -> None:
    """Check a task model's ``test_cfg``; whole pictures where it has none.

    Args:
        task_model: Config of one of mmseg's segmentors; others have no modes.
        error: What to raise.

    Raises:
        ValueError: An unknown mode or option, or windows without a size, without a
            stride, or with gaps between them.

    Examples:
        >>> model = dict(decode_head={"type": "DeepLabHead"})
        >>> fit_test_cfg(model)
        >>> model["test_cfg"]
        {'mode': 'whole'}
    """
    if not describe(task_model).segmentor:
        return
    if task_model.get("test_cfg") is None:
        task_model["test_cfg"] = dict(mode="whole")
    options = task_model["test_cfg"]
    unknown = [name for name in options if name not in OPTIONS]
    if unknown:
        raise error(
            f"the model's test_cfg has no option {unknown[0]!r}; it accepts "
            f"{', '.join(OPTIONS)}"
        )
    mode = options.setdefault("mode", "whole")
    if mode not in MODES:
        raise error(
            f"the model's test_cfg.mode is {mode!r}; choose from {', '.join(MODES)}"
        )
    if mode == "slide":
        _check_windows(options, error)


def _check_windows(options: dict, error: type[ValueError]) -> None:
    for name in ("crop_size", "stride"):
        if not _is_size(options.get(name)):
            raise error(
                f"test_cfg.mode='slide' needs {name}, two positive whole numbers "
                f"(rows, columns), got {options.get(name)!r}; e.g. "
                "test_cfg=dict(mode='slide', crop_size=(96, 128), stride=(64, 96))"
            )
    crop, stride = options["crop_size"], options["stride"]
    if any(s > c for s, c in zip(stride, crop, strict=True)):
        raise error(
            f"test_cfg.stride {tuple(stride)} exceeds crop_size {tuple(crop)}: pixels "
            "between the windows would have no prediction; lower the stride"
        )


def _is_size(value: Any) -> bool:
    return (
        isinstance(value, (list, tuple))
        and len(value) == 2
        and all(type(number) is int and number > 0 for number in value)
    )
