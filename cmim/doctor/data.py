"""The folders and files that the project's configs read, as far as they are here."""

from __future__ import annotations

import ast
from pathlib import Path

from cmim.doctor.findings import DataFindings
from cmim.engine.config_names import configs_folder

# How to get what is missing; of the others data/README.md says it.
MADE_BY = {
    "data/nyuv2": "tools/prepare_nyud.py",
    "data/rooms": "tools/make_rooms.py, or tools/demo.py",
    "data/cifar10": "tools/prepare_cifar10.py",
}


def named_places(folder: Path | None = None) -> list[str]:
    """What bases of configs name below ``data/``, in alphabetical order.

    Args:
        folder: Of the configs; the project's own when None.
    """
    found = set()
    for path in sorted(((folder or configs_folder()) / "_base_").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            text = node.value if isinstance(node, ast.Constant) else None
            if isinstance(text, str) and text.startswith("data/"):
                found.add(text)
    return sorted(found)


def examine_data(root: Path | None = None) -> dict[str, DataFindings]:
    """Look for each of them.

    Args:
        root: The folder that paths are relative to, the current one when None.
    """
    return {
        name: _look_at((root or Path.cwd()) / name, name) for name in named_places()
    }


def _look_at(path: Path, name: str) -> DataFindings:
    if not path.exists():
        how = MADE_BY.get(name)
        return DataFindings(found=False, said=f"{how} makes it" if how else "")
    if path.is_file():
        return DataFindings(found=True, said=f"{path.stat().st_size / 1e6:.1f} MB")
    if (path / "INCOMPLETE").exists():
        return DataFindings(
            found=False, said="left half-written: run what made it once more"
        )
    lists = [path / f"{split}.txt" for split in ("train", "val", "test")]
    counts = [
        f"{len(each.read_text(encoding='utf-8').split())} to {each.stem}"
        for each in lists
        if each.is_file()
    ]
    return DataFindings(found=True, said=", ".join(counts))
