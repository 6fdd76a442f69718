"""A server in a process of its own, with networks of the tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
SERVE = """
import json, sys
import serve_cases
from cmim.serve.app import make_app
from cmim.serve.limits import Limits
from cmim.serve.listen import listen, serve

with listen("127.0.0.1", 0) as socket:
    serve(make_app(serve_cases.pair(), Limits(**json.loads(sys.argv[1]))), socket)
"""


@contextmanager
def running_server(**limits: float) -> Iterator[tuple[str, int]]:
    """The address of a server and the number of its process.

    Args:
        limits: See :class:`cmim.serve.limits.Limits`.
    """
    paths = [str(HERE), str(HERE.parents[2]), os.environ.get("PYTHONPATH", "")]
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, json.dumps(limits)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line.startswith("the page: "), line
        yield line.split()[2], process.pid
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()
