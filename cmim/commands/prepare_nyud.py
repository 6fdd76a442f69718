r"""Turn the official NYU Depth v2 files into a folder of images, depth and labels.

An interrupted run is resumed by running the same command again.

Example:
    python tools/prepare_nyud.py --mat data/raw/nyu_depth_v2_labeled.mat \
        --out data/nyuv2
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
    parser.add_argument(
        "--mat",
        type=Path,
        default=Path("data/raw/nyu_depth_v2_labeled.mat"),
        help="labelled file, default: %(default)s",
    )
    parser.add_argument("--splits", type=Path, help="default: splits.mat beside --mat")
    parser.add_argument(
        "--mapping", type=Path, help="default: classMapping40.mat beside --mat"
    )
    parser.add_argument(
        "--out",
        type=cli.output_folder,
        default="data/nyuv2",
        help="folder to fill, default: %(default)s",
    )
    parser.add_argument("--image-format", choices=("png", "jpg"), default="png")
    parser.add_argument("--depth", choices=("inpainted", "raw"), default="inpainted")
    parser.add_argument(
        "--download",
        action="store_true",
        help="first fetch missing official files into the folder of --mat (2.8 GB)",
    )
    parser.add_argument(
        "--verify", action="store_true", help="only verify the folder --out"
    )
    cli.add_json_option(parser)
    return parser


def run(args: argparse.Namespace) -> None:
    """Do what the options say."""
    from cmim.engine.record import write_json
    from tasks.datasets.download import download_nyud
    from tasks.datasets.prepare_nyud import prepare_nyud, verify_prepared

    raw = args.mat.parent
    if args.verify:
        report = verify_prepared(Path(args.out))
    else:
        if args.download:
            download_nyud(raw)
        report = prepare_nyud(
            args.mat,
            args.splits or raw / "splits.mat",
            args.mapping or raw / "classMapping40.mat",
            Path(args.out),
            args.image_format,
            args.depth,
        )
    if args.json:
        write_json(args.json, asdict(report))
    state = "prepared" if report.written else "already complete, verified"
    print(
        f"{args.out}: {state}, {report.frames} frames ({report.train} train, "
        f"{report.test} test), {report.written} written, {report.megabytes} MB in "
        f"{report.seconds} s"
    )
