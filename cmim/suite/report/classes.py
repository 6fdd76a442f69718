"""Figures of single classes, the rows of a suite side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cmim.suite.report.charts import title_of
from cmim.suite.rows import Row

# What the test figures of single classes are called, behind the prefix of a head.
PER_CLASS = "per_class"


@dataclass(frozen=True)
class ClassTable:
    """The IoU of each class in percent.

    Attributes:
        head: Prefix of the head's figures, ``''`` where it has none.
        rows: Titles of the suite's rows, one a column.
        classes: Name of the class and, by column, the mean over the seeds in which the
            IoU is defined; None where there is none.
    """

    head: str
    rows: list[str]
    classes: list[tuple[str, list[float | None]]]


def class_tables(rows: Sequence[Row]) -> list[ClassTable]:
    """One table for each head that tells classes apart.

    Args:
        rows: Of one suite; those without figures of classes have no column.
    """
    names = {
        name: None
        for row in rows
        for record in row.records
        for name, found in record["test"].items()
        if name.rpartition("/")[2] == PER_CLASS and found
    }
    return [_table(rows, name) for name in names]


def _table(rows: Sequence[Row], name: str) -> ClassTable:
    shown = [row for row in rows if any(r["test"].get(name) for r in row.records)]
    classes = {
        label: None
        for row in shown
        for record in row.records
        for label in record["test"].get(name, {})
    }
    return ClassTable(
        head=name.removesuffix(PER_CLASS).rstrip("/"),
        rows=[title_of(row) for row in shown],
        classes=[(c, [_mean_iou(row, name, c) for row in shown]) for c in classes],
    )


def _mean_iou(row: Row, name: str, label: str) -> float | None:
    found = [r["test"].get(name, {}).get(label, {}).get("iou") for r in row.records]
    known = [iou for iou in found if iou is not None]
    return float(np.mean(known)) if known else None
