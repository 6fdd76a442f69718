"""Measure what the activations of trained binary networks carry."""

from __future__ import annotations

import argparse
from pathlib import Path

from cmim.engine import cli


def build_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = cli.make_parser(
        "Measure what the binary activations of trained networks carry, layer by layer "
        "and checkpoint by checkpoint, on held-out images: entropy of the codes, lower "
        "bounds on their mutual information (MI) with the real activations and with "
        "the full-precision twin, what they tell about the label, similarity (CKA). "
        "Writes analysis.json and pictures. Bounds never exceed log2 of the number of "
        "candidates; nearest-neighbour estimates see leading components only and are "
        "biased: both compare networks, neither is the MI itself.",
        "python tools/analyze.py configs/nyud_seg_bireal_small.py "
        "work_dirs/none/last.pth work_dirs/latent/last.pth "
        "--teacher work_dirs/nyud_seg_fp_small/last.pth",
    )
    cli.add_config_options(parser)
    parser.add_argument(
        "checkpoints",
        nargs="+",
        metavar="checkpoint",
        help="WORK_DIR/last.pth of training runs of this config, with any partner",
    )
    parser.add_argument(
        "--labels", nargs="+", help="names of the checkpoints (default: their folders)"
    )
    parser.add_argument(
        "--teacher",
        metavar="CHECKPOINT",
        help="full-precision twin to compare with",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=cli.output_folder,
        help="folder of JSON and pictures (default work_dirs/analysis/CONFIG)",
    )
    _add_measuring_options(parser)
    cli.add_json_option(parser)
    return parser


def _add_measuring_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--images",
        type=cli.positive,
        metavar="N",
        help="test images, evenly spaced (default 96; 1024 for a classifier)",
    )
    parser.add_argument(
        "--gradients",
        type=int,
        nargs="?",
        const=4,
        default=0,
        metavar="BATCHES",
        help="compare gradients of task and added losses on training batches "
        "(default 4): does the loss pull against the task?",
    )
    parser.add_argument("--no-tsne", action="store_true", help="no t-SNE picture")
    parser.add_argument(
        "--seed", type=cli.seed, default=0, help="seed of places, critics and t-SNE"
    )


def run(args: argparse.Namespace) -> None:
    """Do what the options say."""
    from cmim.analysis.embedding import check_tsne
    from cmim.engine.config import ConfigError, load_config
    from cmim.engine.record import write_json
    from cmim.inspect.analysis_table import as_tables, one_sentences
    from cmim.inspect.analyze import analyze, label_checkpoints, write_analysis

    if args.gradients < 0:
        raise ConfigError(f"--gradients must not be negative, got {args.gradients}")
    if not args.no_tsne:
        check_tsne()
    report, layouts = analyze(
        load_config(args.config, args.cfg_options),
        label_checkpoints(args.checkpoints, args.labels),
        teacher=args.teacher,
        images=args.images,
        gradient_batches=args.gradients,
        points=not args.no_tsne,
        seed=args.seed,
    )
    folder = args.out or f"work_dirs/analysis/{Path(args.config).stem}"
    print(as_tables(report))
    print()
    print(one_sentences(report))
    print("  ".join(map(str, write_analysis(folder, report, layouts))))
    if args.json:
        write_json(args.json, report)
