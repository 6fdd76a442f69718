"""What the runs of a row have measured on corrupted pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cmim.suite.bibench import generalization_gap
from cmim.suite.rows import Row


def measured(row: Row) -> list[Mapping[str, Any]]:
    """Of each run that was tested so, what it has found."""
    found = [record.get("robustness") or {} for record in row.records]
    return [each for each in found if each.get("kinds")]


def kinds_of(row: Row) -> list[str]:
    """The kinds of corruption that all these runs have, in their order."""
    runs = measured(row)
    first = list(runs[0]["kinds"]) if runs else []
    return [kind for kind in first if all(kind in run["kinds"] for run in runs)]


def clean_figure(row: Row, figure: str) -> float | None:
    """Mean over the runs on the same pictures as they are; None without the figure."""
    found = [run["clean"].get(figure) for run in measured(row)]
    known = [value for value in found if value is not None]
    return float(np.mean(known)) if known else None


def corrupted_figures(row: Row, kind: str, figure: str) -> list[float]:
    """Figures of all runs and severities; empty without the figure."""
    return [
        figures[figure]
        for run in measured(row)
        for figures in run["kinds"].get(kind, {}).values()
        if figure in figures
    ]


def gap_of(row: Row, kind: str, figure: str, higher: bool) -> float | None:
    """What a row loses to a kind of corruption; None where it was not measured."""
    clean, found = clean_figure(row, figure), corrupted_figures(row, kind, figure)
    if clean is None or not found:
        return None
    return generalization_gap(clean, found, higher)
