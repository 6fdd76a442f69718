"""Changes to a part of a config that nothing reads any more."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path

from cmim.engine.config_error import ConfigError


def check_lent(path: Path, lent: Mapping[str, str]) -> None:
    """Refuse a config that changes what ``model`` was made of, and not ``model``.

    ``model.update(model=task_model)`` in a base copies; a change of ``task_model`` in a
    config upon that base would be read by nothing, and the base's network be trained.

    Args:
        path: The config file.
        lent: Names that bases lend to ``model``, and where their values are.

    Raises:
        ConfigError: It changes one of them and does not use it behind that.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for name, place in lent.items():
        changed = [line for line, whole in _uses(tree, name) if not whole]
        used = [line for line, whole in _uses(tree, name) if whole]
        if changed and max(used, default=0) < max(changed):
            raise ConfigError(
                f"config '{path}', line {max(changed)}: {name} is changed, and nothing "
                "reads it behind that: model was made of it before; change "
                f"{place}, or end with model.update(model={name})"
            )


def _uses(tree: ast.AST, name: str) -> list[tuple[int, bool]]:
    """Lines that name a variable: as a whole, or (False) to change a part of it."""
    parts = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Attribute, ast.Subscript))
    }
    written = _written(tree)
    return [
        (node.lineno, id(node) not in written)
        for node in ast.walk(tree)
        if isinstance(node, ast.Name)
        and node.id == name
        and isinstance(node.ctx, ast.Load)
        and (id(node) in written or id(node) not in parts)
    ]


def _written(tree: ast.AST) -> set[int]:
    """Variables of which a part is assigned, or updated by a call."""
    found = set()
    for node in ast.walk(tree):
        places: list[ast.expr] = []
        if isinstance(node, ast.Assign):
            places = node.targets
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            places = [node.value.func]
        for place in places:
            inner = place
            while isinstance(inner, (ast.Attribute, ast.Subscript)):
                inner = inner.value
            if inner is not place:
                found.add(id(inner))
    return found
