"""The declaration of a benchmark, and options that several benchmarks have."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cmim.engine import cli


@dataclass(frozen=True)
class Benchmark:
    """A verb of ``tools/bench.py``.

    Attributes:
        help: One line for the list of benchmarks.
        about: One sentence for the command's help, without its subject: "times ...".
        add_options: Adds its options, without ``--json``, which all have. ``threads``
            and ``amp`` are those of torch, and are set before it is called.
        measure: Measures and prints; its figures are what ``--json`` writes.
    """

    help: str
    about: str
    add_options: Callable[[argparse.ArgumentParser], None]
    measure: Callable[[argparse.Namespace], Mapping[str, Any]]


def add_out_option(parser: argparse.ArgumentParser, what: str) -> None:
    """Add ``--out DIR``, a folder named after what is measured."""
    parser.add_argument(
        "--out",
        type=cli.output_folder,
        metavar="DIR",
        default=f"work_dirs/{what}",
        help="folder of the picture (default: %(default)s)",
    )


def add_clock_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--clock wall|cpu``."""
    parser.add_argument(
        "--clock",
        choices=("wall", "cpu"),
        default="wall",
        help="cpu: the time that the processor spent, for machines that others use, "
        "too (with --threads 1)",
    )


def add_threads_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--threads N``."""
    parser.add_argument("--threads", type=cli.positive, help="CPU threads of torch")


def add_training_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--amp``, ``--threads`` and ``--profile``."""
    parser.add_argument("--amp", action="store_true", help="bfloat16 autocast")
    add_threads_option(parser)
    parser.add_argument(
        "--profile", action="store_true", help="also list the costliest operators"
    )
