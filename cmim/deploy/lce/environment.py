"""Where the engine's Python is. Imports the standard library only."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "CMIM_LCE_PYTHON"
# Beside the checkout's other folders, made by ``make setup-lce``.
FOLDER = Path(__file__).resolve().parents[3] / ".venv-lce"


def lce_python() -> Path:
    """The interpreter that has Larq Compute Engine.

    Raises:
        ImportError: There is none, saying how to get one.
    """
    chosen = os.environ.get(VARIABLE)
    path = Path(chosen) if chosen else FOLDER / "bin" / "python"
    if not path.is_file():
        where = (
            f"{VARIABLE} names {path}, which does not exist"
            if chosen
            else "none is here"
        )
        raise ImportError(
            ".tflite files are written and run by Larq Compute Engine in a Python of "
            f"its own, and {where}: run make setup-lce in the project's folder, or set "
            f"{VARIABLE} to an interpreter that has it (docs/deploy_arm.md)"
        )
    return path
