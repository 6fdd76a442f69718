"""How long a network takes on this CPU, executed in many ways."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cmim.bench.benchmark import Benchmark, add_clock_option, add_out_option
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
    add_clock_option(parser)
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
    _add_rival_options(parser)
    add_out_option(parser, "latency")


def _add_rival_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--rivals",
        nargs="*",
        metavar="NAME",
        help="also time what one would pick instead, in float32 and 8 bits, in "
        "OpenVINO and ONNX Runtime: mobilenet_v2, resnet18-WIDTH (channels of stage "
        "one) or configs of the same task (no name: mobilenet_v2 resnet18-48)",
    )
    parser.add_argument(
        "--checkpoints",
        nargs="+",
        default=[],
        type=named_file,
        metavar="NAME=FILE",
        help="of rivals: their accuracy is measured with --images, or else read from "
        "the metrics.json beside the file",
    )


def named_file(word: str) -> tuple[str, str]:
    """An option's value ``NAME=FILE`` as the two.

    Raises:
        argparse.ArgumentTypeError: It is none, or there is no such file.

    Examples:
        >>> named_file(f"mobilenet_v2={__file__}")[0]
        'mobilenet_v2'
    """
    name, _, path = word.partition("=")
    if not name or not path:
        raise argparse.ArgumentTypeError(
            f"'{word}' is no NAME=FILE; for example mobilenet_v2=work_dirs/m/last.pth"
        )
    if not Path(path).is_file():
        raise argparse.ArgumentTypeError(f"the file '{path}' does not exist")
    return name, path


def measure(args: argparse.Namespace) -> Mapping[str, Any]:
    """Run ``bench.py latency``."""
    require_packages("running exported networks", "openvino")
    from cmim.bench.latency.measure import bench_latency
    from cmim.bench.latency.report import NODES, draw_latency, format_latency
    from cmim.bench.latency.rivals import DEFAULT
    from cmim.bench.latency.tradeoff import draw_tradeoff
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
        rivals=DEFAULT if args.rivals == [] else args.rivals or (),
        checkpoints=dict(args.checkpoints),
        clock=args.clock,
    )
    print(format_latency(figures, NODES if args.profile else 0))
    picture = Path(args.out) / "latency.png"
    draw_latency(picture, figures, Path(args.config).stem)
    print(f"picture: {picture}")
    points = Path(args.out) / "tradeoff.png"
    if draw_tradeoff(points, figures, Path(args.config).stem):
        print(f"picture: {points}")
    return figures


BENCH = Benchmark(
    help="inference of a network, 1-bit and not",
    about="times inference: torch, OpenVINO in float32, bfloat16 and 8 bits, and with "
    "real 1-bit convolutions; beside it, if asked, small networks in 8 bits",
    add_options=add_options,
    measure=measure,
)
