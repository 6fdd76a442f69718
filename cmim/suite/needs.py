"""How a run names the runs whose checkpoints it reads, anywhere in its overrides."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

# In place of the path of a checkpoint: that of the run with the key behind it.
_RUN = "run:"
# The same before keys are known, as a suite's file says it.
_NAME = re.compile(r"\{(\w+)\}")


def checkpoint_of(key: str) -> str:
    """What stands in an override for the checkpoint of a run.

    Examples:
        >>> checkpoint_of("0a1b")
        'run:0a1b'
    """
    return _RUN + key


def needed_keys(options: Any) -> set[str]:
    """Keys of the runs whose checkpoints overrides read, at any depth.

    Examples:
        >>> sorted(needed_keys({"a": "run:1", "b": [{"c": "run:2"}, "last.pth", 3]}))
        ['1', '2']
    """
    return {
        text.removeprefix(_RUN) for text in _texts(options) if text.startswith(_RUN)
    }


def with_checkpoints(options: Any, path: Callable[[str], str]) -> Any:
    """Overrides with the paths of checkpoints in place of keys.

    Args:
        options: Overrides, or a part of them.
        path: Of the checkpoint of a key.

    Examples:
        >>> with_checkpoints({"a": ["run:1", "b"]}, "work/{}/last.pth".format)
        {'a': ['work/1/last.pth', 'b']}
    """

    def read(text: str) -> str:
        named = text.startswith(_RUN)
        return path(text.removeprefix(_RUN)) if named else text

    return _replaced(options, read)


def needed_names(options: Any, known: Mapping[str, Any]) -> list[str]:
    """Names of the runs that overrides need, at any depth, in their order.

    Args:
        options: Overrides; ``"{NAME}"`` stands for the checkpoint of a run.
        known: Runs that a suite describes, by name.

    Raises:
        ValueError: A name that is not known, or not alone in its text.

    Examples:
        >>> needed_names({"a": {"teacher": "{twin}"}, "b": "{frame}.png"}, {"twin": {}})
        ['twin']
    """
    found = []
    for text in _texts(options):
        name = _NAME.fullmatch(text)
        if name and name[1] not in known:
            raise ValueError(
                f"{text!r} needs a run that is not described; needs has "
                f"{', '.join(known) or 'none'}"
            )
        if name:
            found.append(name[1])
        elif part := [n for n in _NAME.findall(text) if n in known]:
            raise ValueError(
                f"{text!r} must be '{{{part[0]}}}' alone, which stands for the path of "
                "a checkpoint"
            )
    return list(dict.fromkeys(found))


def with_keys(options: Any, keys: Mapping[str, str]) -> Any:
    """Overrides with the keys of the needed runs in place of their names.

    Args:
        options: Overrides, or a part of them.
        keys: By name.

    Examples:
        >>> with_keys({"a": ["{twin}", "{frame}.png"]}, {"twin": "0a"})
        {'a': ['run:0a', '{frame}.png']}
    """

    def read(text: str) -> str:
        name = _NAME.fullmatch(text)
        return checkpoint_of(keys[name[1]]) if name else text

    return _replaced(options, read)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _texts(each)


def _replaced(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {key: _replaced(each, change) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_replaced(each, change) for each in value)
    return value
