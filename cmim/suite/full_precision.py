"""Which row is the full-precision counterpart of a binary one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cmim.suite.rows import Row

# The method of networks without binary layers.
FULL = "fp"


def network_of(row: Row) -> Mapping[str, Any]:
    """The network of a row's runs: encoder, method and options."""
    return row.records[0].get("network") or {}


def is_full_precision(row: Row) -> bool:
    """Whether a row's network has no binary layers."""
    method = network_of(row).get("method")
    return (method.get("name") if isinstance(method, Mapping) else method) == FULL


def architecture_of(row: Row) -> str:
    """An encoder and its depth, as far as the record says.

    Args:
        row: Of any suite.
    """
    network = network_of(row)
    named = (network.get("encoder"), network.get("depth"))
    return " ".join(str(part) for part in named if part is not None) or "unknown"


def tasks_of(row: Row) -> list[tuple[str, str, bool]]:
    """Data, main figure and whether larger ones are better, for each task of a row."""
    first = row.records[0]
    return [
        (str(first.get("data", "")), figure, higher)
        for figure, higher in first.get("main", {}).items()
    ]


def counterpart_of(row: Row, rows: Sequence[Row]) -> Row | None:
    """The full-precision row of the same suite, architecture, data and tasks.

    Of several, the one that has most labels, and then most options of its network, in
    common with the binary row.

    Args:
        row: A binary row.
        rows: All rows.

    Returns:
        None where there is none, or the row is of full precision itself.
    """
    if is_full_precision(row):
        return None
    found = [
        other
        for other in rows
        if other.suite == row.suite
        and is_full_precision(other)
        and architecture_of(other) == architecture_of(row)
        and tasks_of(other) == tasks_of(row)
    ]
    return max(found, key=lambda other: _shared(row, other), default=None)


def _shared(row: Row, other: Row) -> tuple[int, int]:
    a, b = network_of(row), network_of(other)
    labels = sum(other.labels.get(k) == v for k, v in row.labels.items())
    return labels, sum(name in b and a[name] == b[name] for name in a)
