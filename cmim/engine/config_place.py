"""Which part of a config an error comes from."""

from __future__ import annotations

import difflib
import functools
import re
import traceback
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar

from mmengine.config import Config

from cmim.engine.config import ConfigError, used_parts
from cmim.engine.config_values import parts_of
from cmim.engine.sentences import (
    accepted_options,
    can_name_file,
    is_meant,
    sentence_of,
)

P = ParamSpec("P")
R = TypeVar("R")
# What hooks do before the first step.
STARTS = ("before_run", "before_train")
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
    built = _built_part(error)
    places = _running_places(error, config) if built is None else []
    if built is not None:
        place = _place_of_part(built, config)
        places = [(place, built.get("type"))] if place else []
    where = f"config '{config.filename}'"
    for place, kind in places[:1]:
        name = getattr(kind, "__name__", kind)
        where += f", {place}" + (f" ({name})" if name else "")
    if built is not None and not is_meant(error):
        raise ConfigError(f"{where}: {_build_error(error)}") from error
    if places and _refuses_to_start(error):
        raise ConfigError(f"{where}: {error}") from error
    if places or built is not None:
        error.__notes__ = [where]


def _refuses_to_start(error: Exception) -> bool:
    """Whether a library's hook asserts, before the first step, what it was given."""
    asserts = isinstance(error, AssertionError) and bool(error.args)
    frames = traceback.walk_tb(error.__traceback__)
    return asserts and any(frame.f_code.co_name in STARTS for frame, _ in frames)


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
    if isinstance(error, AssertionError) and text:
        return " ".join(text.split())
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
    if close:
        return f"; did you mean {' or '.join(close)}?"
    return "; import its module in the config"


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


def _running_places(error: Exception, config: Config) -> list[tuple[str, type]]:
    """Components of the config that were running, the innermost first."""
    found: list[tuple[str, type]] = []
    for frame, _ in traceback.walk_tb(error.__traceback__):
        owner = type(frame.f_locals.get("self"))
        place = next((p for p, name in _kinds(config) if name == owner.__name__), None)
        if place:
            found.insert(0, (place, owner))
    return found


def _kinds(config: Config) -> Iterator[tuple[str, str]]:
    """Place and type of each component of a config."""
    for path, node in parts_of(used_parts(config)):
        kind = node.get("type")
        name = getattr(kind, "__name__", kind)
        if path and isinstance(name, str):
            yield path.rstrip("."), name.split(".")[-1]


def _place_of_part(part: dict, config: Config) -> str | None:
    """Where in a config a part is; of several alike, the first."""
    for path, node in parts_of(used_parts(config)):
        # Parts are copied, and completed, on their way.
        same = path and all(k in part and part[k] == v for k, v in node.items())
        if same and (node or not part):
            return path.rstrip(".")
    kind = part.get("type")
    name = str(getattr(kind, "__name__", kind)).split(".")[-1]
    return next((place for place, known in _kinds(config) if known == name), None)
