"""Which part of a config an error comes from."""

from __future__ import annotations

import difflib
import functools
import re
import traceback
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from mmengine.config import Config

from cmim.engine.config import LENT, ConfigError
from cmim.engine.config_values import parts_of
from cmim.engine.sentences import (
    accepted_options,
    can_name_file,
    is_meant,
    sentence_of,
)

P = ParamSpec("P")
R = TypeVar("R")
# Where mmengine makes a component of a part of a config.
BUILDERS = ("build_from_cfg", "build_model_from_cfg", "build_dataloader")


def named_part(function: Callable[P, R]) -> Callable[P, R]:
    """Let the errors of a function name the config's file and part they come from.

    What fails while components are made of the config is a :class:`ConfigError`. Other
    errors keep their type and get the place as a note, which
    :func:`cmim.engine.sentences.sentence_of` puts in front.

    Args:
        function: Takes a config.
    """

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            given = [v for v in (*args, *kwargs.values()) if isinstance(v, Config)]
            if given and not hasattr(error, "__notes__"):
                _name(error, given[0])
            raise

    return call


def _name(error: Exception, config: Config) -> None:
    """Add the place to an error, or raise what it means."""
    own = type(error).__module__.split(".")[0] in ("cmim", "tasks")
    if own or can_name_file(error):
        return
    built, owner = _built_part(error), _running_part(error)
    part = built if built is not None else owner
    place = None if part is None else _place(part, config)
    where = f"config '{config.filename}'"
    if place:
        kind = part.get("type") if isinstance(part, dict) else part
        name = getattr(kind, "__name__", kind)
        where += f", {place}" + (f" ({name})" if name else "")
    if built is not None and not is_meant(error):
        raise ConfigError(f"{where}: {_build_error(error)}") from error
    if place or built is not None:
        error.__notes__ = [where]  # type: ignore[attr-defined]


def _build_error(error: Exception) -> str:
    """What mmengine and Python say of a part that cannot be built, with the choices."""
    text = str(error.args[0]) if error.args else ""
    unknown = re.match(r"(\S+) is not in the (\S+?)::(.+?) registry", text)
    if unknown:
        return f"type {unknown[1]!r} is unknown{_similar(error, unknown[1])}"
    option = re.search(r"got an unexpected keyword argument '(\w+)'", text)
    part = _built_part(error) or {}
    kind = part.get("type")
    if option and callable(kind):
        return accepted_options(kind, option[1])
    missing = re.search(r"missing \d+ required .*?arguments?: (.+)$", text)
    if missing:
        return f"the option {missing[1]} is missing"
    if "must contain the key" in text:
        return "the part has no 'type', the name of what is to be built"
    return sentence_of(error)


def _similar(error: Exception, name: str) -> str:
    """Known names like the one given."""
    names: set[str] = set()
    for frame, _ in traceback.walk_tb(error.__traceback__):
        registry = frame.f_locals.get("registry")
        while registry is not None and hasattr(registry, "module_dict"):
            names |= set(registry.module_dict)
            registry = registry.parent
    close = difflib.get_close_matches(name.rsplit(".", 1)[-1], sorted(names), n=4)
    return f"; did you mean {' or '.join(close)}?" if close else "; import its module"


def _built_part(error: Exception) -> Any:
    """The innermost part of a config that was being built."""
    found = None
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_name in BUILDERS:
            part = frame.f_locals.get("cfg", frame.f_locals.get("dataloader"))
            found = part if isinstance(part, dict) else found
        elif frame.f_code.co_name in ("forward", "__getitem__"):
            # What runs was built before.
            found = None
    return found


def _running_part(error: Exception) -> Any:
    """The class of the innermost component that was running."""
    found = None
    for frame, _ in traceback.walk_tb(error.__traceback__):
        owner = type(frame.f_locals.get("self"))
        if owner.__module__.split(".")[0] in ("cmim", "tasks", "mmseg"):
            found = owner
    return found


def _place(part: Any, config: Config) -> str | None:
    """Where in a config a part, or the first of a class, is."""
    used = {k: v for k, v in config.items() if k not in LENT or "model" not in config}
    for path, node in parts_of(used):
        kind = node.get("type")
        name = getattr(kind, "__name__", kind)
        if isinstance(part, dict):
            # Parts are copied, and completed, on their way.
            same = node is part or (path and dict(node) == dict(part))
        else:
            same = isinstance(name, str) and name.split(".")[-1] == part.__name__
        if same:
            return path.rstrip(".")
    return None
