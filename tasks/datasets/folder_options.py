"""What a config says of a data set in folders, checked option by option."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.datasets.label_format import LabelFormat
from tasks.datasets.label_values import Value


def positive_or_none(option: str, value: int | None) -> int | None:
    # True counts as 1 in Python.
    whole = isinstance(value, int) and not isinstance(value, bool)
    if value is not None and (not whole or value < 1):
        raise ValueError(f"{option} must be a whole number from 1, got {value!r}")
    return value


def named_labels(
    metainfo: dict | None,
    label_values: Sequence[Value] | None,
    void_values: Sequence[Value] | None,
    ignore_palettes: bool,
) -> LabelFormat:
    """How label files are read, of a description that names the classes."""
    classes = (metainfo or {}).get("classes") or ()
    if isinstance(classes, str) or not classes:
        raise ValueError(
            "labels need class names: metainfo=dict(classes=['floor', ...])"
        )
    return LabelFormat(classes, label_values, void_values, ignore_palettes)


def metres_a_unit(depth_scale: float | None) -> float:
    """The scale of depth files, where it is a positive number."""
    if (
        not isinstance(depth_scale, (int, float))
        or depth_scale is True
        or not depth_scale > 0
    ):
        raise ValueError(
            f"depth needs depth_scale > 0, got {depth_scale!r}: the metres per "
            "unit of the files, 0.001 for millimetres, 1.0 for metres"
        )
    return depth_scale
