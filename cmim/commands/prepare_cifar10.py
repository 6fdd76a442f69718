"""Unpack a zip file of CIFAR-10 pictures (train/CLASS/*.jpg, test/CLASS/*.jpg).

An interrupted run is resumed by running the same command again.

Example:
    python tools/prepare_cifar10.py data/raw/cifar10_jpeg.zip data/cifar10
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from cmim.engine import cli


def build_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = cli.ToolParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("zip", type=Path, help="zip file of pictures")
    parser.add_argument(
        "out",
        type=cli.output_folder,
        nargs="?",
        default="data/cifar10",
        help="folder to make, default: %(default)s",
    )
    cli.add_json_option(parser)
    return parser


def run(args: argparse.Namespace) -> None:
    """Do what the options say."""
    from cmim.engine.record import write_json
    from tasks.datasets.prepare_cifar10 import prepare_cifar10

    report = prepare_cifar10(args.zip, Path(args.out))
    if args.json:
        write_json(args.json, asdict(report))
    state = "unpacked" if report.written else "already complete, verified"
    print(
        f"{args.out}: {state}, {report.train} training and {report.test} test "
        f"pictures, {report.written} written, {report.megabytes} MB in "
        f"{report.seconds} s"
    )
