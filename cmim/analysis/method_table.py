"""The registry of methods as a table."""

from __future__ import annotations

import importlib
import inspect
import textwrap
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from cmim.methods import available_methods, get_method

# Heading, share of the width that the name leaves.
COLUMNS = {
    "paper": ("paper", 8),
    "published": ("top-1 %", 2),
    "full_precision": ("stays full precision", 5),
    "options": ("options", 5),
    "checked": ("checked against", 6),
}
GAP = 2
# Below it the columns are too narrow to read.
LEAST_TABLE_WIDTH = 130


def describe_methods(names: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """One row a method, with its options at their defaults.

    Args:
        names: Methods in the order wanted; all, sorted, when None.

    Returns:
        Dictionaries with ``name``, ``paper``, ``binary_weights``,
        ``binary_activations``, ``published`` (ImageNet top-1 in percent of the paper's
        ResNet-18 with one bit, or None), ``full_precision``, ``options`` (name to
        default) and ``checked``.

    Raises:
        ValueError: Unknown name.

    Examples:
        >>> row = describe_methods(["irnet"])[0]
        >>> row["options"], row["binary_weights"]
        ({'t_min': 0.1, 't_max': 10.0}, True)
    """
    rows = []
    for name in available_methods() if names is None else names:
        method = get_method(name)
        factory = importlib.import_module(f"cmim.methods.{name}").METHOD
        options = inspect.signature(factory).parameters.values()
        rows.append(
            {
                "name": method.name,
                "paper": method.paper,
                "binary_weights": method.weight is not None,
                "binary_activations": method.activation is not None,
                "published": method.published,
                "full_precision": method.full_precision,
                "options": {option.name: option.default for option in options},
                "checked": method.checked,
            }
        )
    return rows


def _cell(value: Any, width: int) -> list[str]:
    if isinstance(value, dict):
        lines = [f"{name}={default!r}" for name, default in value.items()] or ["-"]
    else:
        lines = ["-" if value is None else str(value)]
    return [part for line in lines for part in textwrap.wrap(line, width)]


def _beside(cells: Sequence[list[str]], widths: Sequence[int]) -> list[str]:
    lines = []
    for parts in zip_longest(*cells, fillvalue=""):
        padded = (p.ljust(w) for p, w in zip(parts, widths, strict=True))
        lines.append((" " * GAP).join(padded).rstrip())
    return lines


def _as_table(rows: Sequence[dict[str, Any]], width: int) -> list[str]:
    first = max(len(name) for name in ["method", *(row["name"] for row in rows)])
    room = width - first - GAP * len(COLUMNS)
    total = sum(share for _, share in COLUMNS.values())
    widths = [first, *(room * share // total for _, share in COLUMNS.values())]
    titles = ["method", *(title for title, _ in COLUMNS.values())]
    lines = _beside([[title] for title in titles], widths)
    lines += _beside([["-" * width] for width in widths], widths)
    for row in rows:
        values = [row["name"], *(row[key] for key in COLUMNS)]
        cells = [_cell(*pair) for pair in zip(values, widths, strict=True)]
        lines += [*_beside(cells, widths), ""]
    return lines[:-1]


def _as_blocks(rows: Sequence[dict[str, Any]], width: int) -> list[str]:
    first = max(len(title) for title, _ in COLUMNS.values())
    widths = [first, width - first - GAP]
    lines = []
    for row in rows:
        lines.append(row["name"])
        for key, (title, _) in COLUMNS.items():
            lines += _beside([[title], _cell(row[key], widths[1])], widths)
        lines.append("")
    return lines[:-1]


def format_methods(rows: Sequence[dict[str, Any]], width: int = 140) -> str:
    """Rows as a table with wrapped cells, or one below the other where it is narrow.

    Args:
        rows: From :func:`describe_methods`, at least one.
        width: Characters in a line; a table from 130 on.

    Examples:
        >>> print(format_methods(describe_methods(["irnet"]), 80))
        irnet
        paper                 Qin et al., IR-Net, CVPR 2020.
                              https://arxiv.org/abs/1909.10788
        top-1 %               58.1
        stays full precision  stem, down-sampling shortcuts, batch-norm, classifier
        options               t_min=0.1
                              t_max=10.0
        checked against       IR-Net (ResNet20/1w1a), output equal, gradients: 6.8e-12
                              of 1.1e4
    """
    wide = width >= LEAST_TABLE_WIDTH
    return "\n".join((_as_table if wide else _as_blocks)(rows, width))
