"""Which code a result depends on: loaded modules of the project and of the user."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType

from cmim.digest import sha256_of

ROOMS = ("cmim", "tasks")
# They start runs and write about them, and change no figure.
APART = ("cmim.commands", "cmim.suite", "cmim.code_digest")


def loaded_modules() -> list[str]:
    """Names of the project's and the user's modules in this process, sorted.

    The user's are those that belong neither to Python nor to an installed package,
    such as what a config's ``custom_imports`` name.

    Examples:
        >>> "cmim.digest" in loaded_modules(), "torch" in loaded_modules()
        (True, False)
    """
    return sorted(
        name
        for name, module in list(sys.modules.items())
        if (_is_ours(name) and getattr(module, "__file__", None))
        or _users_file(name, module)
    )


def file_digests() -> dict[str, str]:
    """SHA-256 of the files of modules, as they lie there now.

    Returns:
        By name: of all modules of the project, and of the user's that are loaded.

    Examples:
        >>> len(file_digests()["cmim.digest"])
        64
    """
    home = Path(__file__).resolve().parents[1]
    found = {}
    for file in sorted(p for room in ROOMS for p in (home / room).rglob("*.py")):
        parts = file.relative_to(home).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if _is_ours(name):
            found[name] = sha256_of(file)
    for name, module in sorted(sys.modules.items()):
        if path := _users_file(name, module):
            found[name] = sha256_of(path)
    return found


def code_digest(modules: Sequence[str], files: Mapping[str, str] | None = None) -> str:
    """SHA-256 of modules, by name and content.

    Args:
        modules: As :func:`loaded_modules` names them; one that is not there any more
            counts as empty.
        files: As :func:`file_digests` gave them once; those of now when None. A module
            of the user that is not among them is looked for where Python would.

    Examples:
        >>> code_digest(["cmim.digest"]) == code_digest(["cmim.digest", "cmim.gone"])
        False
    """
    files = file_digests() if files is None else files
    lines = [f"{name} {files.get(name) or _users_digest(name)}\n" for name in modules]
    return sha256_of("".join(lines).encode())


def _is_ours(name: str) -> bool:
    return name.partition(".")[0] in ROOMS and not name.startswith(APART)


def _users_file(name: str, module: ModuleType) -> Path | None:
    """The file of a module that is neither ours nor a library's."""
    file = getattr(module, "__file__", None)
    top = name.partition(".")[0]
    # __main__, and __mp_main__, which multiprocessing calls it as well, are what runs.
    if not file or top in ROOMS or top.startswith("__") or not file.endswith(".py"):
        return None
    # Modules that a library makes up have names of files that are not there.
    parent = getattr(sys.modules.get(top), "__file__", None)
    if is_library_file(file) or (parent and is_library_file(parent)):
        return None
    return Path(file) if Path(file).is_file() else None


def is_library_file(file: str) -> bool:
    """Whether a file belongs to Python or to an installed package.

    Examples:
        >>> import torch
        >>> is_library_file(torch.__file__), is_library_file("/home/me/my_losses.py")
        (True, False)
    """
    parts = Path(file).parts
    if "site-packages" in parts or "dist-packages" in parts:
        return True
    names = ("stdlib", "platstdlib")
    return any(
        file.startswith((path, str(Path(path).resolve())))
        for path in map(sysconfig.get_paths().get, names)
        if path
    )


def _users_digest(name: str) -> str:
    """Of a module that this process need not have loaded; empty where there is none."""
    if name.partition(".")[0] in ROOMS:
        return ""
    place = Path(*name.split("."))
    for folder in dict.fromkeys([*sys.path, ""]):
        for file in (place.with_suffix(".py"), place / "__init__.py"):
            if (path := Path(folder or ".") / file).is_file():
                return sha256_of(path)
    return ""
