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
from cmim.suite.engines.gpus import VISIBLE, own_gpus

# Seconds that a run has to end by itself.
PATIENCE = 10
_PR_SET_PDEATHSIG = 1


class LocalEngine(Engine):
    """Runs side by side, each on cores of its own where the system lets choose.

    Where the process that has started them is killed, they are as well (on Linux): a
    suite that is started again finds no run that still holds its folder.

    Args:
        workers: Runs at a time; when None as many as there are cores for, and on GPUs
            one on each: two may not fit into its memory. On other devices one alone.
        threads: CPU threads of each.
        device: Kind of device of the runs.
    """

    def __init__(
        self, workers: int | None = None, threads: int = 1, device: str = "cpu"
    ) -> None:
        self._cores = _own_cores()
        self._gpus = own_gpus() if device == "cuda" else []
        many = len(self._cores) // threads if device == "cpu" else len(self._gpus)
        self.slots = workers or max(1, many)
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
                env=environment(job) | self._gpu_of(place),
                preexec_fn=die_with_parent(cores),
            )
        self._places[key] = place

    def _gpu_of(self, place: int) -> dict[str, str]:
        """What tells a run its GPU; more runs than GPUs share them evenly."""
        gpus = self._gpus
        return {VISIBLE: gpus[place % len(gpus)]} if gpus else {}

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
