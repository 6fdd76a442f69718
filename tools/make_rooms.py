r"""Render procedural rooms into files laid out like the official NYU Depth v2.

Example:
    python tools/make_rooms.py --out data/rooms/raw --frames 200 --size 120 160
    python tools/prepare_nyud.py --mat data/rooms/raw/nyu_depth_v2_labeled.mat \
        --out data/rooms/prepared
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

if __name__ == "__main__":
    from cmim.commands import run_command

    run_command("make_rooms")
