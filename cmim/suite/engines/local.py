"""A pool of processes on this machine."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from cmim.suite.engines.engine import Engine, command, environment, log_of

# Seconds that a run has to end by itself.
PATIENCE = 10
_PR_SET_PDEATHSIG = 1


class LocalEngine(Engine):
    """Runs side by side, each on cores of its own where the system lets choose.

    Where the process that has started them is killed, they are as well (on Linux): a
    suite that is started again finds no run that still holds its folder.

    Args:
        workers: Runs at a time; as many as there are cores for when None.
        threads: CPU threads of each.
    """

    def __init__(self, workers: int | None = None, threads: int = 1) -> None:
        self._cores = _own_cores()
        self.slots = workers or max(1, len(self._cores) // threads)
        self._processes: dict[str, subprocess.Popen] = {}
        self._places: dict[str, int] = {}

    def start(self, key: str, job: Path, threads: int) -> None:
        taken = set(self._places.values())
        place = next(k for k in range(len(taken) + 1) if k not in taken)
        cores = [
            self._cores[(place * threads + k) % len(self._cores)]
            for k in range(threads)
        ]
        with open(log_of(job), "ab") as log:
            self._processes[key] = subprocess.Popen(
                command(job),
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment(job),
                preexec_fn=die_with_parent(cores),
            )
        self._places[key] = place

    def ended(self) -> dict[str, int]:
        found = {}
        for key, process in list(self._processes.items()):
            status = process.poll()
            if status is not None:
                found[key] = status
                del self._processes[key], self._places[key]
        return found

    def stop(self) -> None:
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()
        self._places.clear()


def _own_cores() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def die_with_parent(cores: Sequence[int] = ()) -> Callable[[], None]:
    """What a new process does before its program: take cores, and end with its parent.

    Args:
        cores: Those that it may use; all where there are none.
    """
    parent = os.getpid()

    def prepare() -> None:
        if cores and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, cores)
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:  # it was killed before the line above
                os._exit(1)

    return prepare


ENGINE = LocalEngine
