"""How long a network takes on this CPU, executed in many ways."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cmim.bench.benchmark import Benchmark, add_out_option
from cmim.engine import cli
from cmim.optional_packages import require_packages


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``bench.py latency``."""
    cli.add_config_options(parser)
    parser.add_argument(
        "checkpoint", nargs="?", help="of the binary network (default: random weights)"
    )
    parser.add_argument("--twin", metavar="CHECKPOINT", help="of its twin")
    parser.add_argument(
        "--size",
        type=cli.positive,
        nargs=2,
        metavar=("HEIGHT", "WIDTH"),
        help="of the input",
    )
    parser.add_argument(
        "--threads",
        type=cli.positive,
        nargs="+",
        default=[1, 2],
        help="numbers of CPU threads",
    )
    parser.add_argument("--rounds", type=cli.positive, default=11, help="timed rounds")
    parser.add_argument(
        "--images",
        type=cli.not_negative,
        default=0,
        metavar="N",
        help="also: accuracy of each variant on the first N test images",
    )
    parser.add_argument(
        "--profile", action="store_true", help="also list the costliest nodes"
    )
    add_out_option(parser, "latency")


def measure(args: argparse.Namespace) -> Mapping[str, Any]:
    """Run ``bench.py latency``."""
    require_packages("running exported networks", "openvino")
    from cmim.bench.latency.measure import bench_latency
    from cmim.bench.latency.report import NODES, draw_latency, format_latency
    from cmim.engine.config import load_config

    figures = bench_latency(
        load_config(args.config, args.cfg_options),
        args.checkpoint,
        args.twin,
        size=tuple(args.size) if args.size else None,
        threads=args.threads,
        rounds=args.rounds,
        images=args.images,
        out=args.out,
    )
    print(format_latency(figures, NODES if args.profile else 0))
    picture = Path(args.out) / "latency.png"
    draw_latency(picture, figures, Path(args.config).stem)
    print(f"picture: {picture}")
    return figures


BENCH = Benchmark(
    help="inference of a network, 1-bit and not",
    about="times inference: torch, OpenVINO in float32, bfloat16 and 8 bits, and with "
    "real 1-bit convolutions",
    add_options=add_options,
    measure=measure,
)
