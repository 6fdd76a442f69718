"""The configs that come with the project, by name."""

from __future__ import annotations

import ast
from pathlib import Path

import cmim


def configs_folder() -> Path:
    """Where the project's configs lie: in the checkout, or in the installed package."""
    package = Path(cmim.__file__).resolve().parent
    checkout = package.parent / "configs"
    return checkout if (checkout / "_base_").is_dir() else package / "configs"


def find_config(name: str | Path) -> Path:
    """The file that a path or the name of one of the project's configs means.

    A file wins over a name, and an unknown name stays what it is, so that the message
    about it is that of a missing file.

    Args:
        name: ``configs/nyud_seg_bireal.py``, or ``nyud_seg_bireal`` from any folder.

    Examples:
        >>> find_config("nyud_seg_bireal").name
        'nyud_seg_bireal.py'
        >>> find_config("mine.py").as_posix()
        'mine.py'
    """
    path = Path(name)
    if path.is_file() or path.suffix not in ("", ".py"):
        return path
    within = path.parts[1:] if path.parts[:1] == ("configs",) else path.parts
    if len(within) != 1:
        return path
    ours = configs_folder() / Path(*within).with_suffix(".py")
    return ours if ours.is_file() else path


def described_configs() -> dict[Path, str]:
    """The project's configs, each with the first line of its docstring."""
    return {
        path: (
            ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        ).partition("\n")[0]
        for path in sorted(configs_folder().glob("*.py"))
    }
