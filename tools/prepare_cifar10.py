r"""Unpack a zip file of CIFAR-10 pictures (train/CLASS/*.jpg, test/CLASS/*.jpg).

An interrupted run is resumed by running the same command again.

Example:
    python tools/prepare_cifar10.py data/raw/cifar10_jpeg.zip data/cifar10
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
    parser.add_argument("zip", type=Path, help="zip file of pictures")
    parser.add_argument(
        "out",
        type=output_folder,
        nargs="?",
        default="data/cifar10",
        help="folder to make, default: %(default)s",
    )
    parser.add_argument(
        "--json", type=output_file, help="write the figures to this file"
    )
    return parser.parse_args()


def main() -> None:
    """Unpack; say what was done."""
    arguments = parse_arguments()
    from tasks.datasets.prepare_cifar10 import prepare_cifar10
    from tasks.datasets.prepare_nyud import write_report

    report = prepare_cifar10(arguments.zip, Path(arguments.out))
    if arguments.json:
        write_report(Path(arguments.json), asdict(report))
    state = "unpacked" if report.written else "already complete, verified"
    print(
        f"{arguments.out}: {state}, {report.train} training and {report.test} test "
        f"pictures, {report.written} written, {report.megabytes} MB in "
        f"{report.seconds} s"
    )


if __name__ == "__main__":
    from cmim.engine.run_tool import run_tool

    run_tool(main)
