"""The engine's process as its caller sees it: requests and answers."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from cmim.deploy.binary_layer import ExportError
from cmim.deploy.lce.environment import lce_python
from cmim.deploy.lce.messages import receive, send

WORKER = Path(__file__).with_name("worker.py")
_QUIET = {"TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}


class WorkerProcess:
    """A process in the engine's Python that stays until this object goes.

    Args:
        python: The interpreter; :func:`lce_python` when None.

    Raises:
        ImportError: There is no such interpreter, or the engine is not in it.
    """

    def __init__(self, python: Path | None = None) -> None:
        python = lce_python() if python is None else python
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
        # Isolated: what the environment or the folder says of modules is not for it.
        self._process = subprocess.Popen(
            [str(python), "-I", str(WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            env={**os.environ, **_QUIET},
        )
        self._end = weakref.finalize(self, _end, self._process)
        try:
            self.versions = self._answer()[0]
        except ExportError as error:
            raise ImportError(f"{python} does not run: {error}") from None
        if "error" in self.versions:
            self._end()
            raise ImportError(
                f"{python} has no Larq Compute Engine that can be imported "
                f"({self.versions['error']}): run make setup-lce (docs/deploy_arm.md)"
            )

    @property
    def alive(self) -> bool:
        """Whether it can still be asked."""
        return self._process.poll() is None

    def ask(
        self, do: str, arrays: Sequence[np.ndarray] = (), **values: Any
    ) -> tuple[dict[str, Any], list[np.ndarray]]:
        """Have something done, see :mod:`cmim.deploy.lce.answers`.

        Args:
            do: What.
            arrays: float32.
            values: Plain values.

        Raises:
            ExportError: It cannot be done, or the process has ended.
        """
        try:
            send(_pipe(self._process.stdin), dict(do=do, **values), arrays)
        except (BrokenPipeError, ValueError):
            raise ExportError(self._why_ended()) from None
        message, found = self._answer()
        if "traceback" in message:
            lines = message["traceback"].strip().splitlines()
            where = next((x.strip() for x in lines[::-1] if "cmim" in x), "")
            raise ExportError(
                f"Larq Compute Engine failed: {message['error'][-600:]} ({where})"
            )
        if "error" in message:
            raise ExportError(message["error"])
        return message, found

    def close(self) -> None:
        """End the process."""
        self._end()

    def _answer(self) -> tuple[dict[str, Any], list[np.ndarray]]:
        found = receive(_pipe(self._process.stdout))
        if found is None:
            raise ExportError(self._why_ended())
        return found

    def _why_ended(self) -> str:
        self._end()
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").strip().splitlines()
        last = f": {lines[-1][-300:]}" if lines else ""
        status = self._process.returncode
        how = f"signal {-status}" if status < 0 else f"status {status}"
        return f"the process of Larq Compute Engine ended with {how}{last}; try again"


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe


def _end(process: subprocess.Popen[bytes]) -> None:
    """The end of its input ends it."""
    for pipe in (process.stdin, process.stdout):
        # What was still to be written to a process that has gone is lost.
        with contextlib.suppress(OSError):
            _pipe(pipe).close()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


_shared: list[WorkerProcess] = []


def shared_worker() -> WorkerProcess:
    """The process that all files are run in: TensorFlow takes seconds to start."""
    if not _shared or not _shared[0].alive:
        _shared[:] = [WorkerProcess()]
    return _shared[0]
