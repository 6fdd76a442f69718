"""Estimates of mutual information against known values, with table and picture."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from cmim.analysis.gaussian_check import check_estimators, format_checks
from cmim.analysis.gaussian_picture import draw_checks
from cmim.bench.benchmark import Benchmark, add_out_option
from cmim.engine import cli


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``bench.py estimators``."""
    parser.add_argument("--samples", type=cli.positive, default=1000, help="a data set")
    parser.add_argument(
        "--repeats", type=cli.positive, default=10, help="data sets a case"
    )
    add_out_option(parser, "estimators")


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Run ``bench.py estimators``."""
    rows = check_estimators(args.samples, args.repeats)
    print(format_checks(rows))
    picture = Path(args.out) / "estimators.png"
    draw_checks(picture, rows, f"{args.samples} samples, {args.repeats} repetitions")
    print(f"\npicture: {picture}")
    return dict(samples=args.samples, repeats=args.repeats, unit="nats", rows=rows)


BENCH = Benchmark(
    help="estimators of mutual information against known values",
    about="compares estimates of mutual information with known values",
    add_options=add_options,
    measure=measure,
)
