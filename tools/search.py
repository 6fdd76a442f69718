"""Search networks by their milliseconds on this machine, before any training."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

if __name__ == "__main__":
    from cmim.commands import run_command

    run_command("search")
