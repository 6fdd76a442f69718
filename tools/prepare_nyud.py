r"""Turn the official NYU Depth v2 files into a folder of images, depth and labels.

An interrupted run is resumed by running the same command again.

Example:
    python tools/prepare_nyud.py --mat data/raw/nyu_depth_v2_labeled.mat \
        --out data/nyuv2
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

if __name__ == "__main__":
    from cmim.commands import run_command

    run_command("prepare_nyud")
