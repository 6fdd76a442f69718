"""Rows as Markdown, records as CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cmim.suite.rows import Row, metric_names
from cmim.suite.statistics import Gain, Spread


def axes_of(rows: Sequence[Row]) -> list[str]:
    """All axes, in the order of their first rows."""
    return list(dict.fromkeys(axis for row in rows for axis in row.labels))


def main_of(rows: Iterable[Row]) -> dict[str, bool]:
    """Main figures of all rows, and whether larger ones are better."""
    found: dict[str, bool] = {}
    for row in rows:
        for record in row.records:
            found.update(record.get("main", {}))
    return found


def show(spread: Spread | None, interval: tuple[float, float] | None = None) -> str:
    """A figure with its spread over seeds, that of one seed with its interval.

    Examples:
        >>> show(Spread(8.512, 0.213, 4)), show(Spread(1.0312, math.nan, 1)), show(None)
        ('8.512 ± 0.21', '1.031', '')
        >>> show(Spread(8.512, math.nan, 1), (8.1, 8.96))
        '8.512 (8.1 to 8.96)'
    """
    if spread is None:
        return ""
    mean = f"{spread.mean:.4g}"
    if not math.isnan(spread.deviation):
        return f"{mean} ± {spread.deviation:.2g}"
    if interval is None or math.isnan(interval[0]):
        return mean
    return f"{mean} ({interval[0]:.4g} to {interval[1]:.4g})"


def show_gain(gain: Gain | None) -> str:
    """A gain over the baseline, with its interval, and what may be said of it.

    Examples:
        >>> show_gain(Gain(1.1, 0.9, 1.4, 0.03, 6))
        '+1.1 (+0.9 to +1.4), higher (p 0.03)'
    """
    if gain is None:
        return ""
    if math.isnan(gain.mean):
        return gain.words
    if math.isnan(gain.low):
        return f"{gain.mean:+.3g}, {gain.words}"
    return f"{gain.mean:+.3g} ({gain.low:+.3g} to {gain.high:+.3g}), {gain.words}"


def as_markdown(rows: Sequence[Row]) -> str:
    """Main figures of all rows as one table for each suite.

    Args:
        rows: Of any suites.
    """
    parts = []
    for suite in dict.fromkeys(row.suite for row in rows):
        chosen = [row for row in rows if row.suite == suite]
        axes, main = axes_of(chosen), main_of(chosen)
        compared = any(row.gains for row in chosen)
        names = [*axes, "seeds"]
        for name in main:
            names += [name, f"{name}, gain"] if compared else [name]
        lines = [_line(names), _line("---" for _ in names)]
        for row in chosen:
            cells = [row.labels.get(axis, "") for axis in axes]
            stale = ", stale" if row.status == "stale" else ""
            cells.append(f"{len(row.seeds)}{stale}")
            for name in main:
                cells.append(show(row.figures.get(name), row.intervals.get(name)))
                cells += [show_gain(row.gains.get(name))] if compared else []
            lines.append(_line(cells))
        parts.append(f"## {suite}\n\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _costs(record: Mapping[str, Any]) -> dict[str, Any]:
    """Costs of a run, with the latency in milliseconds where it was measured."""
    found = dict(record.get("cost") or {})
    if "ms" in (latency := record.get("latency") or {}):
        found["ms"] = latency["ms"]
    return found


def as_csv(records: Sequence[Mapping[str, Any]]) -> str:
    """A line a run, with all its figures and costs.

    Args:
        records: Failed ones have their reason and no figures.
    """
    axes = list(dict.fromkeys(axis for r in records for axis in r["labels"]))
    ended = [record for record in records if record.get("test")]
    metrics = list(dict.fromkeys(n for r in ended for n in metric_names([r])))
    costs = list(dict.fromkeys(n for r in ended for n in _costs(r)))
    head = ["suite", *axes, "seed", "key", "status", "reason", *metrics, *costs]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(head)
    for r in records:
        labels = [r["labels"].get(axis, "") for axis in axes]
        test, cost = r.get("test") or {}, _costs(r)
        writer.writerow(
            [r["suite"], *labels, r["seed"], r["key"], r["status"], r.get("reason", "")]
            + [test.get(name, "") for name in metrics]
            + [cost.get(name, "") for name in costs]
        )
    return out.getvalue()
