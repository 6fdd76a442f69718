r"""Render procedural rooms into files laid out like the official NYU Depth v2.

Example:
    python tools/make_rooms.py --out data/rooms/raw --frames 200 --size 120 160
    python tools/prepare_nyud.py --mat data/rooms/raw/nyu_depth_v2_labeled.mat \
        --out data/rooms/prepared
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from cmim.engine import cli


def build_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = cli.ToolParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out", type=cli.output_folder, required=True, help="folder to fill"
    )
    parser.add_argument("--frames", type=cli.positive, default=200, help="default: 200")
    parser.add_argument(
        "--size",
        type=cli.positive,
        nargs=2,
        default=(120, 160),
        metavar=("HEIGHT", "WIDTH"),
        help="pixels, default: 120 160",
    )
    parser.add_argument("--seed", type=cli.seed, default=0, help="default: 0")
    cli.add_json_option(parser)
    return parser


def run(args: argparse.Namespace) -> None:
    """Do what the options say."""
    from cmim.engine.record import write_json
    from tasks.datasets.rooms.frames import write_rooms

    started = time.perf_counter()
    size = (args.size[0], args.size[1])
    out = Path(args.out)
    write_rooms(out, args.frames, size, args.seed)
    megabytes = sum(file.stat().st_size for file in out.glob("*.mat")) / 1e6
    figures = {
        "frames": args.frames,
        "height": size[0],
        "width": size[1],
        "seed": args.seed,
        "seconds": round(time.perf_counter() - started, 3),
        "megabytes": round(megabytes, 3),
    }
    if args.json:
        write_json(args.json, figures)
    print(
        f"{args.out}: {figures['frames']} frames of {size[0]} x {size[1]} pixels, "
        f"{figures['megabytes']} MB in {figures['seconds']} s"
    )
