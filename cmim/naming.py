"""What a name in a config stands for: one module per name, found in a package."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from functools import cache
from typing import Any

# Annotations of options, in the words of the command line.
KINDS = {
    "bool": "True or False",
    "float": "a number",
    "int": "a whole number",
    "str": "a name",
}


@cache
def factories(package: str, attribute: str) -> dict[str, Any]:
    """The ``attribute`` of every module of a package that has it, by module name.

    Args:
        package: Dotted name, e.g. ``'cmim.methods'``.
        attribute: e.g. ``'METHOD'``.
    """
    found = {}
    for info in pkgutil.iter_modules(importlib.import_module(package).__path__):
        module = importlib.import_module(f"{package}.{info.name}")
        if hasattr(module, attribute):
            found[info.name] = getattr(module, attribute)
    return found


def make_named(kind: str, known: dict[str, Callable[..., Any]], entry: Any) -> Any:
    """What a name, or ``dict(name=..., **options)``, stands for.

    Args:
        kind: What is named, for messages.
        known: A factory per name.
        entry: The config's entry.

    Raises:
        ValueError: Unknown name or option, or a value of another kind; the message
            lists what exists.

    Examples:
        >>> make_named("colour", {"red": lambda: 1}, "blue")
        Traceback (most recent call last):
        ValueError: colour 'blue' is unknown; choose from red
    """
    options = dict(entry) if isinstance(entry, dict) else {"name": entry}
    name = options.pop("name", None)
    if not isinstance(name, str) or name not in known:
        raise ValueError(
            f"{kind} {name!r} is unknown; choose from {', '.join(sorted(known))}"
        )
    parameters = inspect.signature(known[name]).parameters
    accepted = set(parameters)
    unknown = sorted(set(options) - accepted)
    if unknown:
        raise ValueError(
            f"{kind} {name!r} has no option {', '.join(map(repr, unknown))}; "
            f"it accepts {', '.join(sorted(accepted)) or 'no options'}"
        )
    for option, value in options.items():
        annotation = parameters[option].annotation
        check_kind(f"{kind} {name!r}", option, annotation, value)
    return known[name](**options)


def check_kind(owner: str, option: str, annotation: Any, value: Any) -> None:
    """Refuse an option's value of another kind than its annotation says.

    A wrong one may work, and mean something else: 'no' is true.

    Args:
        owner: Whose option, for the message.
        option: Its name.
        annotation: A type or its name; of kinds other than ``KINDS`` nothing is said.
        value: What was given.

    Raises:
        ValueError: It is of another kind.

    Examples:
        >>> check_kind("loss 'nce'", "normalise", bool, "no")
        Traceback (most recent call last):
        ValueError: loss 'nce' needs normalise to be True or False, got 'no'
    """
    text = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    wanted = [part.strip() for part in text.split("|")]
    if "None" in wanted:
        if value is None:
            return
        wanted.remove("None")
    given = {"int", "float"} if type(value) is int else {type(value).__name__}
    if set(wanted) <= set(KINDS) and given.isdisjoint(wanted):
        raise ValueError(
            f"{owner} needs {option} to be "
            f"{' or '.join(KINDS[k] for k in wanted)}, got {value!r}"
        )
