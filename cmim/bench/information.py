"""Benchmarks of estimates of mutual information, with table and picture."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from cmim.analysis.bounds_experiment import (
    BOUNDS,
    Setup,
    format_table,
    table_of,
    train_bound,
)
from cmim.analysis.bounds_picture import draw_bounds
from cmim.analysis.gaussian_check import check_estimators, format_checks
from cmim.analysis.gaussian_picture import draw_checks


def bench_estimators(samples: int, repeats: int, out: str | Path) -> dict[str, Any]:
    """Estimates against known values, printed and drawn.

    Args:
        samples: In a data set.
        repeats: Data sets a case.
        out: Folder of the picture.
    """
    rows = check_estimators(samples, repeats)
    print(format_checks(rows))
    picture = Path(out) / "estimators.png"
    draw_checks(picture, rows, f"{samples} samples, {repeats} repetitions")
    print(f"\npicture: {picture}")
    return dict(samples=samples, repeats=repeats, unit="nats", rows=rows)


def bench_bounds(setup: Setup, out: str | Path) -> dict[str, Any]:
    """Trained bounds against rising information, printed and drawn.

    Args:
        setup: What they are trained with.
        out: Folder of the picture.
    """
    curves = {name: train_bound(name, setup) for name in BOUNDS}
    rows = table_of(curves, setup)
    print(format_table(rows))
    picture = Path(out) / "bounds.png"
    draw_bounds(picture, curves, setup)
    print(f"\npicture: {picture}")
    return dict(**asdict(setup), unit="nats", rows=rows)
