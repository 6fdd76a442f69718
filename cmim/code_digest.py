"""Which code a result depends on: the project's modules that its process has loaded."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from cmim.digest import sha256_of

ROOMS = ("cmim", "tasks")
# They start runs and write about them, and change no figure.
APART = ("cmim.commands", "cmim.suite")


def loaded_modules() -> list[str]:
    """Names of the project's modules in this process, sorted.

    Examples:
        >>> "cmim.digest" in loaded_modules()
        True
    """
    return sorted(
        name
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] in ROOMS
        and not name.startswith(APART)
        and getattr(module, "__file__", None)
    )


def code_digest(modules: Sequence[str]) -> str:
    """SHA-256 of the files of modules, by name and content.

    Args:
        modules: As :func:`loaded_modules` names them; one that is not there any more
            counts as empty.

    Examples:
        >>> code_digest(["cmim.digest"]) == code_digest(["cmim.digest", "cmim.gone"])
        False
    """
    parts: list[bytes | Path] = []
    for name in modules:
        parts.append(f"{name}\n".encode())
        file = _file_of(name)
        if file is not None:
            parts.append(file)
    return sha256_of(*parts)


def _file_of(name: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    if spec is None or spec.origin is None or not Path(spec.origin).is_file():
        return None
    return Path(spec.origin)
