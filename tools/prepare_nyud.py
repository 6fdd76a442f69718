r"""Turn the official NYU Depth v2 files into a folder of images, depth and labels.

An interrupted run is resumed by running the same command again.

Example:
    python tools/prepare_nyud.py --mat data/raw/nyu_depth_v2_labeled.mat \
        --out data/nyuv2
"""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    from cmim.engine.option_types import output_file, output_folder
    from cmim.engine.tool_parser import ToolParser

    parser = ToolParser(
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
        type=output_folder,
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
    parser.add_argument(
        "--json", type=output_file, help="write the figures to this file"
    )
    return parser.parse_args()


def main() -> None:
    """Prepare or verify; say what was done."""
    arguments = parse_arguments()
    from tasks.datasets.download import download_nyud
    from tasks.datasets.prepare_nyud import prepare_nyud, verify_prepared, write_report

    raw = arguments.mat.parent
    if arguments.verify:
        report = verify_prepared(Path(arguments.out))
    else:
        if arguments.download:
            download_nyud(raw)
        report = prepare_nyud(
            arguments.mat,
            arguments.splits or raw / "splits.mat",
            arguments.mapping or raw / "classMapping40.mat",
            Path(arguments.out),
            arguments.image_format,
            arguments.depth,
        )
    if arguments.json:
        write_report(Path(arguments.json), asdict(report))
    state = "prepared" if report.written else "already complete, verified"
    print(
        f"{arguments.out}: {state}, {report.frames} frames ({report.train} train, "
        f"{report.test} test), {report.written} written, {report.megabytes} MB in "
        f"{report.seconds} s"
    )


if __name__ == "__main__":
    from cmim.engine.run_tool import run_tool

    run_tool(main)
