"""Which way imports point between the rooms."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = [p for room in ("cmim", "tasks", "tools") for p in (ROOT / room).rglob("*.py")]

# Room -> rooms of cmim it may import, besides itself.
LOWER = {"functional", "methods", "layers", "encoders", "contrast", "models"}
LOWER |= {"convert"}
LOWER |= {"added_losses", "checkpoint", "naming", "analysis", "deploy"}
LOWER |= {"safe_loading", "digest", "json_file", "finite", "identity"}
LOWER |= {"data_parts", "whole_output", "stages", "former_names"}
LOWER |= {"task", "task_model", "task_view"}
LOWER |= {"optional_packages", "cpu_flags", "ranks"}
ABOVE = LOWER | {"hooks", "engine"}
ALLOWED: dict[str, set[str]] = {
    "functional": set(),
    "guards": set(),
    "pickle_sizes": set(),
    "torch_archive": {"pickle_sizes"},
    "digest": set(),
    "finite": set(),
    "json_file": set(),
    "torch_file": {"digest", "pickle_sizes", "torch_archive"},
    "ranks": set(),
    "task_view": set(),
    "task": {"naming", "ranks", "task_view"},
    "task_model": {"task"},
    "checkpoint": {"torch_file", "finite", "former_names", "task_model"},
    "safe_loading": {"checkpoint"},
    "naming": set(),
    "data_parts": set(),
    "stages": set(),
    "former_names": set(),
    "regularizers": {"added_losses"},
    "whole_output": set(),
    "optional_packages": set(),
    "cpu_flags": set(),
    "identity": {"data_parts", "task_model"},
    "methods": {"functional", "naming"},
    "layers": {"functional", "methods"},
    "convert": {"layers", "methods", "functional", "stages", "finite"},
    "encoders": {
        "convert",
        "optional_packages",
        "naming",
        "functional",
        "methods",
        "layers",
        "stages",
        "checkpoint",
        "safe_loading",
    },
    "contrast": {"functional", "methods", "naming", "ranks"},
    "added_losses": {
        "functional",
        "methods",
        "contrast",
        "stages",
        "task_model",
        "naming",
    },
    "models": {
        "methods",
        "contrast",
        "added_losses",
        "functional",
        "stages",
        "former_names",
        "checkpoint",
        "identity",
        "safe_loading",
        "naming",
        "task",
        "task_model",
    },
    "analysis": LOWER - {"analysis", "deploy"},
    "deploy": LOWER - {"deploy"},
    "hooks": LOWER,
    "engine": LOWER | {"hooks"},
    "known_holes": set(),
    "export": ABOVE,
    "inspect": ABOVE,
    "bench": ABOVE | {"export"},
    "zoo": ABOVE | {"export"},
    "search": ABOVE | {"bench"},
    "doctor": ABOVE | {"bench", "known_holes"},
    "code_digest": {"digest"},
    "suite": ABOVE | {"code_digest", "inspect", "bench"},
    "serve": ABOVE,
    "commands": ABOVE
    | {"export", "inspect", "bench", "doctor", "known_holes", "suite", "search"}
    | {"serve", "zoo"},
    "__main__": {"commands"},
}


def imported_modules(source: str, package: str) -> Iterator[str]:
    """Absolute names of all imported modules, also inside functions.

    ``from a import b`` gives ``a.b``: b may be a module.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")
            kept = parents[: len(parents) - node.level + 1] if node.level else []
            base = [*kept, *([node.module] if node.module else [])]
            yield from (".".join([*base, alias.name]) for alias in node.names)


@cache
def imports_of(path: Path) -> list[str]:
    package = ".".join(path.relative_to(ROOT).parent.parts)
    return list(imported_modules(path.read_text(encoding="utf-8"), package))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def room_of(module: str) -> str | None:
    """``functional`` of ``cmim.functional.sign``; None outside the package."""
    top, _, rest = module.partition(".")
    return rest.split(".")[0] if top == "cmim" and rest else None


def files_of(room: str) -> list[Path]:
    single = ROOT / "cmim" / f"{room}.py"
    return [single] if single.exists() else list((ROOT / "cmim" / room).rglob("*.py"))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import cmim.engine.train as t, os", ["cmim.engine.train", "os"]),
        ("from cmim import hooks", ["cmim.hooks"]),
        ("from .sign import sign", ["cmim.functional.sign.sign"]),
        ("from . import sign", ["cmim.functional.sign"]),
        ("from ..methods import x", ["cmim.methods.x"]),
        ("def f():\n    if x:\n        import tasks.depth", ["tasks.depth"]),
        ("'import cmim'  # import os", []),
    ],
)
def test_the_reader_of_imports_sees_every_form(source, expected):
    assert list(imported_modules(source, "cmim.functional")) == expected


def test_there_is_something_to_check():
    assert {"cmim", "tasks", "tools"} == {p.relative_to(ROOT).parts[0] for p in FILES}
    assert "torch.Tensor" in imports_of(ROOT / "cmim" / "functional" / "sign.py")


def test_every_room_has_its_place_in_the_map():
    rooms = {
        p.stem
        for p in (ROOT / "cmim").iterdir()
        if p.suffix == ".py" or (p / "__init__.py").exists()
    }
    assert rooms - {"__init__"} <= set(ALLOWED)


def test_the_map_has_no_circle():
    """Sorting the rooms by who imports whom succeeds."""
    waiting = dict(ALLOWED)
    while waiting:
        ready = {room for room, lower in waiting.items() if not lower & set(waiting)}
        assert ready, f"circle among {sorted(waiting)}"
        waiting = {room: lower for room, lower in waiting.items() if room not in ready}


def test_rooms_import_downwards_only():
    wrong = [
        f"{name_of(path)} imports {module}"
        for room, lower in ALLOWED.items()
        for path in files_of(room)
        for module in imports_of(path)
        if room_of(module) not in {None, "__version__", "guards", room, *lower}
    ]
    assert not wrong


def test_functional_imports_torch_only():
    wrong = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in files_of("functional")
        for module in imports_of(path)
        if module.split(".")[0] not in {"torch", "cmim", *sys.stdlib_module_names}
    ]
    assert not wrong


def test_packages_import_downwards_only():
    """cmim <- tasks <- commands <- tools; nothing imports a command."""
    upwards = {
        "cmim": {"tasks", "configs", "tools", "tests"},
        "tasks": {"configs", "tools", "tests"},
        "tools": {"tests"},
    }
    wrong = [
        f"{name_of(path)} imports {module}"
        for path in FILES
        for module in imports_of(path)
        if module.split(".")[0] in upwards[path.relative_to(ROOT).parts[0]]
        if not name_of(path).startswith("cmim/commands/")
    ]
    wrong += [
        f"{name_of(path)} imports {module}"
        for path in FILES
        for module in imports_of(path)
        if module.startswith("cmim.commands")
        if path.parts[-2] not in {"commands", "tools"} and path.stem != "__main__"
    ]
    assert not wrong
