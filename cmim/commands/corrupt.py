"""Evaluate a checkpoint on corrupted pictures."""

from __future__ import annotations

import argparse

from cmim.engine import cli


def build_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = cli.make_parser(
        "Evaluate a checkpoint on test pictures with the 15 kinds of corruption of "
        "ImageNet-C, at 5 severities: mIoU, RMSE and the like of each. All networks "
        "see the same corrupted pictures. Needs the extra 'robustness'.",
        "python tools/corrupt.py configs/nyud_seg_bireal_small.py "
        "work_dirs/nyud_seg_bireal_small/last.pth --images 100",
    )
    cli.add_config_options(parser)
    parser.add_argument("checkpoint", help="WORK_DIR/last.pth of a training run")
    parser.add_argument(
        "--kinds",
        nargs="+",
        metavar="KIND",
        help="of corruptions, e.g. gaussian_noise fog (default: all 15)",
    )
    parser.add_argument(
        "--severities",
        nargs="+",
        type=int,
        metavar="N",
        help="from 1 to 5 (default: all)",
    )
    parser.add_argument(
        "--images",
        type=cli.positive,
        metavar="N",
        help="the first N test images only, in folders of classes N of each class "
        "(default: all)",
    )
    cli.add_json_option(parser)
    return parser


def run(args: argparse.Namespace) -> None:
    """Do what the options say."""
    from cmim.engine.config import load_config
    from cmim.engine.corruptions import KINDS, SEVERITIES
    from cmim.engine.evaluate import load_task_model
    from cmim.engine.record import write_json
    from cmim.engine.robustness import (
        check_corruptions,
        measure_robustness,
        robustness_table,
    )

    kinds, severities = args.kinds or KINDS, args.severities or SEVERITIES
    # Before a model is built.
    check_corruptions(kinds, severities, args.images)
    config = load_config(args.config, args.cfg_options)
    model = load_task_model(config, args.checkpoint)
    found = measure_robustness(model, config, kinds, severities, args.images)
    if args.json:
        write_json(args.json, found)
    print(robustness_table(found))
