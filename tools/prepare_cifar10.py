r"""Unpack a zip file of CIFAR-10 pictures (train/CLASS/*.jpg, test/CLASS/*.jpg).

An interrupted run is resumed by running the same command again.

Example:
    python tools/prepare_cifar10.py data/raw/cifar10_jpeg.zip data/cifar10
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

if __name__ == "__main__":
    from cmim.commands import run_command

    run_command("prepare_cifar10")
