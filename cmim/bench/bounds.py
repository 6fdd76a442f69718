"""Trained bounds on mutual information against the truth, with table and picture."""

from __future__ import annotations

import argparse
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
from cmim.bench.benchmark import Benchmark, add_out_option
from cmim.engine import cli


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``bench.py bounds``."""
    parser.add_argument(
        "--steps-per-level",
        type=cli.positive,
        default=1000,
        help="training steps of a level",
    )
    parser.add_argument("--batch", type=cli.positive, default=64, help="pairs a step")
    parser.add_argument(
        "--dim", type=cli.positive, default=20, help="columns of each variable"
    )
    parser.add_argument(
        "--critic",
        choices=("separable", "concat"),
        default="separable",
        help="inner product of two networks, or one of both (50 times as slow)",
    )
    parser.add_argument("--seed", type=cli.seed, default=0)
    parser.add_argument(
        "--threads", type=cli.positive, default=1, help="CPU threads of torch"
    )
    add_out_option(parser, "bounds")


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Run ``bench.py bounds``."""
    setup = Setup(args.steps_per_level, args.batch, args.dim, args.critic, args.seed)
    curves = {name: train_bound(name, setup) for name in BOUNDS}
    rows = table_of(curves, setup)
    print(format_table(rows))
    picture = Path(args.out) / "bounds.png"
    draw_bounds(picture, curves, setup)
    print(f"\npicture: {picture}")
    return dict(**asdict(setup), unit="nats", rows=rows)


BENCH = Benchmark(
    help="trained bounds against rising information",
    about="trains bounds on mutual information and compares them with its rising value",
    add_options=add_options,
    measure=measure,
)
