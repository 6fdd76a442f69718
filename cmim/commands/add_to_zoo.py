"""Put a trained network with its record into the zoo."""

from __future__ import annotations

import argparse

from cmim.engine import cli


def build_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = cli.make_parser(
        "Export a trained network, verify it, and put it with its record, a model "
        "card and the licence into the package's zoo. Figures are taken from the "
        "record by their names; the zoo has no others.",
        "python tools/add_to_zoo.py configs/nyud_joint_bireal_fast_small.py "
        "work_dirs/nyud_joint_bireal_fast_small/last.pth nyud_joint --record "
        "work_dirs/nyud_joint_bireal_fast_small/metrics.json --figures seg/mIoU "
        "depth/rmse --about 'Classes and depth of rooms.'",
    )
    cli.add_config_options(parser)
    parser.add_argument("checkpoint", help="WORK_DIR/last.pth of a training run")
    parser.add_argument("name", help="of the network, for predict and test")
    parser.add_argument(
        "--record", required=True, metavar="FILE", help="metrics.json of the run"
    )
    parser.add_argument(
        "--figures", required=True, nargs="+", metavar="NAME", help="of its final test"
    )
    parser.add_argument("--about", required=True, help="one sentence")
    parser.add_argument(
        "--size",
        type=cli.positive,
        nargs=2,
        metavar=("HEIGHT", "WIDTH"),
        help="of the input (default: the config's test images)",
    )
    parser.add_argument(
        "--rest",
        choices=("float32", "int8"),
        default="float32",
        help="layers beside the binary ones (default: %(default)s)",
    )
    return parser


def run(args: argparse.Namespace) -> None:
    """Do what the options say."""
    from cmim.bench.latency.measure import input_size
    from cmim.engine.config import load_config
    from cmim.zoo.add import add_entry

    config = load_config(args.config, args.cfg_options)
    folder = add_entry(
        args.name,
        config,
        args.cfg_options or {},
        args.checkpoint,
        args.record,
        args.figures,
        args.about,
        tuple(args.size) if args.size else input_size(config),
        args.rest,
    )
    print(folder)
