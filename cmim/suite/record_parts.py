"""What the parts of a record are, so that one from outside cannot break a report."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[Any], bool]


def _of(*kinds: type) -> Check:
    """Of one of some types; a truth value is no whole number."""
    return lambda value: (
        isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))
    )


def _number(value: Any) -> bool:
    """A number that fits into a float; NaN does, and stands for what is undefined."""
    return _of(float)(value) or (_of(int)(value) and abs(value) <= 1 << 62)


def _finite(value: Any) -> bool:
    return _number(value) and math.isfinite(value)


def _maybe(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _either(*checks: Check) -> Check:
    return lambda value: any(check(value) for check in checks)


def _each(check: Check) -> Check:
    """A list of such values."""
    return lambda value: isinstance(value, list) and all(map(check, value))


def _named(check: Check) -> Check:
    """A dictionary of such values."""
    return lambda value: isinstance(value, Mapping) and all(map(check, value.values()))


def _with(must: Mapping[str, Check], may: Mapping[str, Check] | None = None) -> Check:
    """A dictionary that has some values, and may have others."""

    def check(value: Any) -> bool:
        return (
            isinstance(value, Mapping)
            and all(name in value and each(value[name]) for name, each in must.items())
            and all(each(value.get(name)) for name, each in (may or {}).items())
        )

    return check


def _test(value: Any) -> bool:
    """Figures by name; those of single classes are dictionaries."""
    classes = _named(_with({}, {"iou": _maybe(_number)}))
    return isinstance(value, Mapping) and all(
        _maybe(classes)(found)
        if name.rpartition("/")[2] == "per_class"
        else _either(_maybe(_number), _of(bool, str, list, dict))(found)
        for name, found in value.items()
    )


_text, _dictionary = _of(str), _of(dict)
_note = _with({"note": _text})
_picture = _maybe(_text)
_example = _with(
    {
        "frame": _text,
        "image": _picture,
        "tasks": _named(_with({"truth": _picture, "prediction": _picture})),
    }
)
_timed = _with(
    {
        "ms": _finite,
        "spread_ms": lambda ends: _each(_finite)(ends) and len(ends) == 2,
        "clock": _text,
        "threads": _of(int),
    }
)
_figures = _named(_number)
_corrupted = _with(
    {
        "images": _number,
        "clean": _figures,
        "kinds": _named(lambda kind: _named(_figures)(kind) and bool(kind)),
    }
)
# What each part is, and how that is said. Others are not read.
PARTS: dict[str, tuple[Check, str]] = {
    "key": (_text, "a text"),
    "suite": (_text, "a text"),
    "protocol": (_text, "a text"),
    "status": (lambda value: value in ("ok", "failed"), "'ok' or 'failed'"),
    "seed": (_of(int), "a whole number"),
    "labels": (_named(_text), "texts by axis"),
    "options": (_dictionary, "a dictionary"),
    "baseline": (_maybe(_named(_text)), "texts by axis"),
    "test": (_maybe(_test), "figures by name"),
    "main": (_maybe(_named(_of(bool))), "true or false by figure"),
    "resolved": (_maybe(_dictionary), "a dictionary"),
    "network": (_maybe(_dictionary), "a dictionary"),
    "cost": (
        _maybe(
            _with({}, {n: _maybe(_finite) for n in ("ops", "memory_mbit", "minutes")})
        ),
        "a dictionary with numbers as ops, memory_mbit and minutes",
    ),
    "trace": (
        _maybe(_with({"every": _of(int), "loss": _each(_number)})),
        "a dictionary with a whole number as every and a list of numbers as loss",
    ),
    "machine": (
        _maybe(_with({}, {"cpu": _maybe(_text), "flags": _maybe(_each(_text))})),
        "a dictionary with a text as cpu and texts as flags",
    ),
    "code": (
        _maybe(_with({}, {"commit": _maybe(_text), "modules": _maybe(_each(_text))})),
        "a dictionary with a text as commit and texts as modules",
    ),
    "sums": (_maybe(_with({"digest": _text})), "a dictionary with a text as digest"),
    "examples": (
        _maybe(_either(_note, _each(_example))),
        "a list of frames, each with frame, image and, by task, truth and prediction "
        "as names of files",
    ),
    "latency": (
        _maybe(_either(_note, _timed)),
        "a dictionary with ms, two numbers as spread_ms, clock and threads",
    ),
    "robustness": (
        _maybe(_either(_note, _corrupted)),
        "a dictionary with images, clean and, by kind and severity, figures as kinds",
    ),
}
# What a run that has ended with figures has.
ENDED = ("test", "resolved")


def wrong_part(record: Mapping[str, Any]) -> str | None:
    """What is wrong with a record, as the rest of a sentence; None where nothing is.

    Args:
        record: As its file says it; parts that are missing are not wrong, but for the
            figures and the config of a run that has not failed.

    Examples:
        >>> wrong_part({"seed": "a"})
        "seed is 'a', expected a whole number"
        >>> wrong_part({"status": "ok", "test": {}})
        'resolved is missing'
    """
    for name, (check, what) in PARTS.items():
        if name in record and not check(record[name]):
            shown = repr(record[name])
            shown = shown if len(shown) <= 80 else f"{shown[:76]} ..."
            return f"{name} is {shown}, expected {what}"
    if record.get("status") == "ok":
        for name in ENDED:
            if record.get(name) is None:
                return f"{name} is missing"
    return None
