r"""Render procedural rooms into files laid out like the official NYU Depth v2.

Example:
    python tools/make_rooms.py --out data/rooms/raw --frames 200 --size 120 160
    python tools/prepare_nyud.py --mat data/rooms/raw/nyu_depth_v2_labeled.mat \
        --out data/rooms/prepared
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    from cmim.engine.option_types import output_file, output_folder, positive, seed
    from cmim.engine.tool_parser import ToolParser

    parser = ToolParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out", type=output_folder, required=True, help="folder to fill"
    )
    parser.add_argument("--frames", type=positive, default=200, help="default: 200")
    parser.add_argument(
        "--size",
        type=positive,
        nargs=2,
        default=(120, 160),
        metavar=("HEIGHT", "WIDTH"),
        help="pixels, default: 120 160",
    )
    parser.add_argument("--seed", type=seed, default=0, help="default: 0")
    parser.add_argument(
        "--json", type=output_file, help="write the figures to this file"
    )
    return parser.parse_args()


def main() -> None:
    """Render the rooms; say what was done."""
    arguments = parse_arguments()
    from tasks.datasets.prepare_nyud import write_report
    from tasks.datasets.rooms import write_rooms

    started = time.perf_counter()
    size = (arguments.size[0], arguments.size[1])
    out = Path(arguments.out)
    write_rooms(out, arguments.frames, size, arguments.seed)
    megabytes = sum(file.stat().st_size for file in out.glob("*.mat")) / 1e6
    figures = {
        "frames": arguments.frames,
        "height": size[0],
        "width": size[1],
        "seed": arguments.seed,
        "seconds": round(time.perf_counter() - started, 3),
        "megabytes": round(megabytes, 3),
    }
    if arguments.json:
        write_report(Path(arguments.json), figures)
    print(
        f"{arguments.out}: {figures['frames']} frames of {size[0]} x {size[1]} pixels, "
        f"{figures['megabytes']} MB in {figures['seconds']} s"
    )


if __name__ == "__main__":
    from cmim.engine.run_tool import run_tool

    run_tool(main)
