"""Check a data set that a config describes."""

from __future__ import annotations

import argparse

from cmim.engine import cli


def build_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = cli.make_parser(
        "Read every file of the data set that a config describes in folders, and say "
        "how many pictures there are, of which sizes, how often each class occurs, how "
        "far the depth goes, which files cannot be used and why (exit status 2), and "
        "whether pictures are both trained on and tested on.",
        "python tools/check_data.py configs/streets_seg_bireal.py",
    )
    cli.add_config_options(parser)
    cli.add_json_option(parser)
    return parser


def run(args: argparse.Namespace) -> None:
    """Do what the options say."""
    from cmim.engine.config import load_config
    from cmim.engine.record import write_json
    from tasks.datasets.errors import DataError
    from tasks.datasets.survey import as_text, survey_config

    found = survey_config(load_config(args.config, args.cfg_options))
    for split, figures in found.items():
        print(as_text(split, figures))
    if args.json:
        write_json(args.json, found)
    count = sum(len(figures["problems"]) for figures in found.values())
    if count:
        raise DataError(f"{count} problems; the lines above say what to do")
