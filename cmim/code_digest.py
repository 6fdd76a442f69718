"""Which code a result depends on: the project's modules that its process has loaded."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
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


def file_digests() -> dict[str, str]:
    """SHA-256 of the files of all modules of the project, as they lie there now.

    Returns:
        By name of the module.

    Examples:
        >>> len(file_digests()["cmim.digest"])
        64
    """
    home = Path(__file__).resolve().parents[1]
    found = {}
    for file in sorted(p for room in ROOMS for p in (home / room).rglob("*.py")):
        parts = file.relative_to(home).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if not name.startswith(APART):
            found[name] = sha256_of(file)
    return found


def code_digest(modules: Sequence[str], files: Mapping[str, str] | None = None) -> str:
    """SHA-256 of modules, by name and content.

    Args:
        modules: As :func:`loaded_modules` names them; one that is not there any more
            counts as empty.
        files: As :func:`file_digests` gave them once; those of now when None.

    Examples:
        >>> code_digest(["cmim.digest"]) == code_digest(["cmim.digest", "cmim.gone"])
        False
    """
    files = file_digests() if files is None else files
    lines = [f"{name} {files.get(name, '')}\n" for name in modules]
    return sha256_of("".join(lines).encode())
