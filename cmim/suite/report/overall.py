"""BiBench's overall metrics of a suite's rows, where full-precision ones exist."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cmim.suite.bibench import overall, relative_accuracy, robustness_ratio
from cmim.suite.full_precision import architecture_of, counterpart_of, tasks_of
from cmim.suite.report.charts import title_of
from cmim.suite.robustness import gap_of, kinds_of
from cmim.suite.rows import Row

Pair = tuple[Row, Row]


@dataclass(frozen=True)
class OverallLine:
    """A binarization over all tasks and architectures of a suite, as fractions.

    Attributes:
        labels: Value by axis; axes that change task or architecture are left out.
        full: Titles of the full-precision rows.
        relative: Mean of the relative figure, by name.
        tasks: Overall metric of the tasks.
        architectures: Overall metric of the architectures.
        robustness: Overall metric over the kinds of corruption; NaN where they were not
            measured, or nothing is lost to any.
    """

    labels: dict[str, str]
    full: list[str]
    relative: dict[str, float]
    tasks: float
    architectures: float
    robustness: float


def overall_lines(rows: Sequence[Row]) -> list[OverallLine]:
    """One line for each binarization; none where no row is of full precision.

    Args:
        rows: Of one suite.
    """
    found = [(row, counterpart_of(row, rows)) for row in rows]
    pairs = [(row, full) for row, full in found if full is not None]
    aside = _setting_axes([row for row, _ in pairs])
    groups: dict[tuple, list[Pair]] = {}
    for row, full in pairs:
        labels = {k: v for k, v in row.labels.items() if k not in aside}
        groups.setdefault(tuple(labels.items()), []).append((row, full))
    return [_line(dict(labels), group) for labels, group in groups.items()]


def _setting_axes(rows: Sequence[Row]) -> set[str]:
    """Axes of which a value changes task or architecture, all else being equal."""
    found = set()
    for row in rows:
        for other in rows:
            differing = [k for k in row.labels if row.labels[k] != other.labels.get(k)]
            if len(differing) == 1 and _setting(row) != _setting(other):
                found.add(differing[0])
    return found


def _setting(row: Row) -> tuple:
    return architecture_of(row), *tasks_of(row)


def _line(labels: dict[str, str], pairs: Sequence[Pair]) -> OverallLine:
    by_task: dict[tuple[str, str], list[float]] = {}
    by_architecture: dict[str, list[float]] = {}
    by_figure: dict[str, list[float]] = {}
    for row, full in pairs:
        for data, figure, higher in tasks_of(row):
            if figure not in row.figures or figure not in full.figures:
                continue
            ratio = relative_accuracy(
                row.figures[figure].mean, full.figures[figure].mean, higher
            )
            by_task.setdefault((data, figure), []).append(ratio)
            by_architecture.setdefault(architecture_of(row), []).append(ratio)
            by_figure.setdefault(figure, []).append(ratio)
    return OverallLine(
        labels=labels,
        full=list(dict.fromkeys(title_of(full) for _, full in pairs)),
        # Of one group it is the mean.
        relative={figure: overall([found]) for figure, found in by_figure.items()},
        tasks=overall(by_task.values()),
        architectures=overall(by_architecture.values()),
        robustness=overall(_robustness(pairs).values()),
    )


def _robustness(pairs: Sequence[Pair]) -> Mapping[str, list[float]]:
    """Ratios of gaps by kind of corruption."""
    found: dict[str, list[float]] = {}
    for row, full in pairs:
        for kind in kinds_of(row):
            for _, figure, higher in tasks_of(row):
                ours = gap_of(row, kind, figure, higher)
                theirs = gap_of(full, kind, figure, higher)
                if ours is not None and theirs is not None:
                    ratio = robustness_ratio(theirs, ours)
                    found.setdefault(kind, []).append(ratio)
    return found


def percent(share: float) -> str:
    """A fraction as text; nothing where it is undefined.

    Examples:
        >>> percent(0.7071), percent(math.nan)
        ('70.7', '')
    """
    return "" if math.isnan(share) else f"{100 * share:.1f}"
