r"""Render procedural rooms into files laid out like the official NYU Depth v2.

Example:
    python tools/make_rooms.py --out data/rooms/raw --frames 200 --size 120 160
    python tools/prepare_nyud.py --mat data/rooms/raw/nyu_depth_v2_labeled.mat \
        --out data/rooms/prepared
"""

import argparse
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to fill")
    parser.add_argument("--frames", type=int, default=200, help="default: 200")
    parser.add_argument(
        "--size",
        type=int,
        nargs=2,
        default=(120, 160),
        metavar=("HEIGHT", "WIDTH"),
        help="pixels, default: 120 160",
    )
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    return parser.parse_args()


def main() -> int:
    """Render the rooms; return the exit status."""
    arguments = parse_arguments()
    from tasks.datasets.rooms import write_rooms

    started = time.perf_counter()
    size = (arguments.size[0], arguments.size[1])
    try:
        write_rooms(arguments.out, arguments.frames, size, arguments.seed)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    megabytes = sum(file.stat().st_size for file in arguments.out.glob("*.mat")) / 1e6
    figures = {
        "frames": arguments.frames,
        "height": size[0],
        "width": size[1],
        "seed": arguments.seed,
        "seconds": round(time.perf_counter() - started, 3),
        "megabytes": round(megabytes, 3),
    }
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n")
    print(
        f"{arguments.out}: {figures['frames']} frames of {size[0]} x {size[1]} pixels, "
        f"{figures['megabytes']} MB in {figures['seconds']} s"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
