"""Show what a config's network costs, layer by layer."""

from __future__ import annotations

import argparse

from cmim.engine import cli


def build_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = cli.make_parser(
        "Show the network of a config layer by layer: output shape, bits of weights "
        "(W) and of activations (A), stored values, memory, multiply-accumulates by "
        "precision; and the totals. OPs = BOPs / 64 + FLOPs, FLOPs being "
        "multiply-accumulates of convolutions and linear layers, as published counts "
        "have it. Needs no data and no weights.",
        "python tools/summary.py configs/imagenet_resnet18_bireal.py",
    )
    cli.add_config_options(parser)
    parser.add_argument(
        "--size",
        nargs=2,
        type=cli.positive,
        metavar=("HEIGHT", "WIDTH"),
        help="image in pixels (default: the config's test images)",
    )
    parser.add_argument(
        "--every", action="store_true", help="list batch-norms and scales too"
    )
    cli.add_json_option(parser)
    return parser


def run(args: argparse.Namespace) -> None:
    """Do what the options say."""
    from cmim.engine.config import load_config
    from cmim.engine.record import write_json
    from cmim.inspect.summary import as_table, one_sentence, summarize

    summary = summarize(
        load_config(args.config, args.cfg_options), args.size and tuple(args.size)
    )
    print(as_table(summary, args.every))
    print(one_sentence(summary))
    if args.json:
        write_json(args.json, summary)
