"""The page of a report: one file, which needs nothing else."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, select_autoescape

from cmim.suite.content import PROTOCOL
from cmim.suite.report.charts import COSTS, loss_curves, pareto_front, price_of
from cmim.suite.report.classes import class_tables
from cmim.suite.report.examples import example_tables
from cmim.suite.report.overall import overall_lines, percent
from cmim.suite.report.robustness import corruption_tables
from cmim.suite.report.tables import axes_of, main_of, show, show_gain
from cmim.suite.rows import Row


def write_page(rows: Sequence[Row], failed: Sequence[Mapping[str, Any]]) -> str:
    """The page as HTML.

    Args:
        rows: Of any suites.
        failed: Records of runs without figures.
    """
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=select_autoescape(),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    suites = [
        _suite(name, [row for row in rows if row.suite == name])
        for name in dict.fromkeys(row.suite for row in rows)
    ]
    templates.filters["percent"] = percent
    return templates.get_template("page.html").render(
        suites=suites,
        failed=failed,
        compared=any(row.gains for row in rows),
        drawn=any(row.intervals for row in rows),
        protocol=PROTOCOL,
        machines=sorted({_machine(r) for row in rows for r in row.records}),
    )


def _machine(record: Mapping[str, Any]) -> str:
    found = record.get("machine", {})
    flags = ", ".join(found.get("flags", []))
    return f"{found.get('cpu', 'unknown')} ({flags or 'no flags known'})"


def _suite(name: str, rows: Sequence[Row]) -> dict[str, Any]:
    main, overall = main_of(rows), overall_lines(rows)
    fronts = [
        pareto_front(rows, metric, higher, cost)
        for metric, higher in main.items()
        for cost in COSTS
        if any(price_of(row, cost) for row in rows)
    ]
    return dict(
        name=name,
        axes=axes_of(rows),
        main=list(main),
        compared=any(row.gains for row in rows),
        lines=[_line(row, list(main)) for row in rows],
        classes=class_tables(rows),
        examples=example_tables(rows),
        corruptions=corruption_tables(rows),
        overall=overall,
        overall_axes=list(
            dict.fromkeys(axis for line in overall for axis in line.labels)
        ),
        timed=any(price_of(row, "ms") for row in rows),
        drawings=[*fronts, loss_curves(rows)],
    )


def _line(row: Row, main: Sequence[str]) -> dict[str, Any]:
    first = row.records[0]
    cost = first.get("cost", {})
    return dict(
        labels=row.labels,
        seeds=len(row.seeds),
        stale=row.status == "stale",
        figures=[
            dict(
                shown=show(row.figures.get(name), row.intervals.get(name)),
                sort=row.figures[name].mean if name in row.figures else None,
                gain=show_gain(row.gains.get(name)),
            )
            for name in main
        ],
        ms=_latency(row),
        notes=[
            f"{name} {found['note']}"
            for record in row.records
            for name in ("robustness", "latency", "examples")
            if isinstance(found := record.get(name), Mapping) and found.get("note")
        ],
        gops=f"{cost['ops'] / 1e9:.3f}" if cost.get("ops") else "",
        mbit=f"{cost['memory_mbit']:.2f}" if cost.get("memory_mbit") else "",
        minutes=f"{cost['minutes']:.1f}" if cost.get("minutes") is not None else "",
        runs=[
            dict(
                key=record["key"],
                seed=record["seed"],
                command=shlex.join(["cmim", "reproduce", record["key"]]),
                commit=(record.get("code") or {}).get("commit") or "unknown",
            )
            for record in row.records
        ],
        config=json.dumps(first["resolved"], indent=1),
    )


def _latency(row: Row) -> dict[str, Any]:
    """Milliseconds, and how they were measured."""
    found = row.records[0].get("latency") or {}
    if "ms" not in found:
        return dict(shown="", how="")
    low, high = found["spread_ms"]
    spent = "processor's time" if found["clock"] == "cpu" else "time passed"
    return dict(
        shown=f"{found['ms']:.3g}",
        how=f"median, {low:.3g} to {high:.3g} ms, {spent}, {found['threads']} threads",
    )
