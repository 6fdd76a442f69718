"""Figures on corrupted pictures, the rows of a suite side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cmim.suite.report.charts import title_of
from cmim.suite.report.tables import main_of
from cmim.suite.robustness import (
    clean_figure,
    corrupted_figures,
    kinds_of,
    measured,
)
from cmim.suite.rows import Row


@dataclass(frozen=True)
class CorruptionTable:
    """A main figure by kind of corruption, means over severities and seeds.

    Attributes:
        figure: Its name.
        images: How many test pictures, as the rows say.
        severities: Likewise.
        rows: Titles of the suite's rows, one a column.
        kinds: ``clean``, each kind, and ``all kinds``, with the figure by column; None
            where it was not measured.
    """

    figure: str
    images: str
    severities: str
    rows: list[str]
    kinds: list[tuple[str, list[float | None]]]


def corruption_tables(rows: Sequence[Row]) -> list[CorruptionTable]:
    """One table for each main figure that was measured on corrupted pictures.

    Args:
        rows: Of one suite; those that were not tested so, or have another task, have no
            column.
    """
    tested = [row for row in rows if kinds_of(row)]
    of_figures = {
        figure: [row for row in tested if clean_figure(row, figure) is not None]
        for figure in main_of(tested)
    }
    return [_table(found, figure) for figure, found in of_figures.items() if found]


def _table(rows: Sequence[Row], figure: str) -> CorruptionTable:
    kinds = list(dict.fromkeys(kind for row in rows for kind in kinds_of(row)))
    lines = [(kind, [_mean(row, kind, figure) for row in rows]) for kind in kinds]
    runs = [run for row in rows for run in measured(row)]
    severities = [next(iter(run["kinds"].values())) for run in runs]
    return CorruptionTable(
        figure=figure,
        images=_said(str(run["images"]) for run in runs),
        severities=_said(", ".join(found) for found in severities),
        rows=[title_of(row) for row in rows],
        kinds=[
            ("clean", [clean_figure(row, figure) for row in rows]),
            *lines,
            ("all kinds", [_column_mean(lines, k) for k in range(len(rows))]),
        ],
    )


def _mean(row: Row, kind: str, figure: str) -> float | None:
    found = corrupted_figures(row, kind, figure)
    return float(np.mean(found)) if found else None


def _column_mean(
    lines: Sequence[tuple[str, list[float | None]]], column: int
) -> float | None:
    """Of columns with all kinds only: means of other kinds are not compared."""
    found = [values[column] for _, values in lines]
    known = [value for value in found if value is not None]
    return float(np.mean(known)) if known and len(known) == len(found) else None


def _said(words) -> str:
    return " or ".join(dict.fromkeys(words))
