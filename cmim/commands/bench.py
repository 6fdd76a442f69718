"""Measure costs."""

from __future__ import annotations

import argparse
import sys

from cmim.engine import cli


def build_parser() -> argparse.ArgumentParser:
    """The command's options."""
    from cmim.bench import benchmarks

    known = benchmarks()
    parser = cli.make_parser(
        "Measure costs on this machine, on random data; what is compared takes turns "
        "in one run. "
        + " ".join(f"'{name}' {bench.about}." for name, bench in known.items()),
        "python tools/bench.py step configs/nyud_seg_bireal_small.py --profile\n"
        "  python tools/bench.py layer --stage 2 --json layer.json",
    )
    what = parser.add_subparsers(dest="what", required=True, help="what to measure")
    for name, bench in known.items():
        command = what.add_parser(name, help=bench.help)
        bench.add_options(command)
        cli.add_json_option(command)
    return parser


def run(args: argparse.Namespace) -> None:
    """Do what the options say."""
    import torch
    from mmengine.device import get_device

    from cmim.bench import benchmarks
    from cmim.engine.precision import warning_of
    from cmim.engine.record import write_json

    # Of those that take several numbers of threads, each turn sets its own.
    if isinstance(getattr(args, "threads", None), int):
        torch.set_num_threads(args.threads)
    if getattr(args, "amp", False):
        warning = warning_of("bfloat16", get_device())
        if warning:
            print(warning, file=sys.stderr)
    figures = benchmarks()[args.what].measure(args)
    if args.json:
        write_json(args.json, figures)
