"""Runs a tool of the command line in the process of the tests.

Starting Python and importing torch takes longer than most tools work. One test a tool
starts a process of its own (``tests/tools/test_help.py``, marked ``full``).
"""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

import torch
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope
from mmengine.visualization import Visualizer

ROOT = Path(__file__).resolve().parents[1]


def run_in_process(tool: str, *words: object) -> subprocess.CompletedProcess[str]:
    """Run a tool as ``python tools/TOOL.py WORDS`` in the project's folder does.

    What the tool changes for its own process (environment, folder, threads, random
    numbers) is as it was before.

    Args:
        tool: Name of the tool, without ``tools/`` and ``.py``.
        words: Its arguments; they become strings.

    Returns:
        What ``subprocess.run(..., capture_output=True, text=True)`` would return.
    """
    from cmim.commands import run_command

    command = [f"tools/{tool}.py", *map(str, words)]
    out, err = io.StringIO(), io.StringIO()
    status, before, threads = 0, Path.cwd(), torch.get_num_threads()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        mock.patch.object(sys, "argv", command),
        mock.patch.dict(os.environ),
        torch.random.fork_rng(devices=[]),
    ):
        os.chdir(ROOT)
        try:
            run_command(tool, command[1:])
        except SystemExit as stopped:
            status = int(stopped.code or 0)
        finally:
            os.chdir(before)
            torch.set_num_threads(threads)
            # mmengine's are named by the second: the next run would get this one's.
            for kind in (Visualizer, MMLogger, MessageHub, DefaultScope):
                kind._instance_dict.clear()
    return subprocess.CompletedProcess(command, status, out.getvalue(), err.getvalue())
