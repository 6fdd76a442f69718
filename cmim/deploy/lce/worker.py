"""The process that runs in the engine's Python: answers requests until its input ends.

Started by its path, in isolation: this project's environment may hold another NumPy.
"""

from __future__ import annotations

import os
import signal
import sys
import types
from pathlib import Path
from typing import Any


def share_modules() -> None:
    """Let ``cmim.deploy`` be imported without what lies beside the project's folder."""
    folder = Path(__file__).resolve().parent
    for name in ("cmim.deploy.lce", "cmim.deploy", "cmim"):
        module = types.ModuleType(name)
        module.__path__ = [str(folder)]
        sys.modules[name] = module
        folder = folder.parent


def greeting() -> dict[str, Any]:
    """The versions of what is here, or what is missing."""
    try:
        import larq_compute_engine  # noqa: F401
        import numpy
        import tensorflow
    except Exception as error:  # broken installations fail in any way
        return dict(error=f"{type(error).__name__}: {error}")
    return dict(tensorflow=tensorflow.__version__, numpy=numpy.__version__)


def main() -> None:
    """Answer on what was the standard output: libraries print to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the end of the input ends it
    pipe = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    share_modules()
    from cmim.deploy.lce.messages import receive, send

    begin = greeting()
    send(pipe, begin)
    if "error" in begin:
        return
    from cmim.deploy.lce.answers import Answers

    answers = Answers()
    while (found := receive(sys.stdin.buffer)) is not None:
        send(pipe, *answers(*found))


if __name__ == "__main__":
    main()
