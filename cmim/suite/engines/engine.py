"""What the scheduler of a suite asks of an engine."""

from __future__ import annotations

import abc
import os
import sys
from pathlib import Path

from cmim.json_file import read_json
from cmim.suite.engines.gpus import VISIBLE

# In place of an exit status: the run was not at fault, the machine was taken away.
INTERRUPTED = 1000


class Engine(abc.ABC):
    """Starts the processes of runs and says how they ended.

    Folders of results and runs must be seen by all machines under the same path.

    Attributes:
        slots: Runs at a time; None where the engine has a queue of its own.
    """

    slots: int | None

    @abc.abstractmethod
    def start(self, key: str, job: Path, threads: int) -> None:
        """Start the run that a job's file describes, or put it in the queue."""

    @abc.abstractmethod
    def ended(self) -> dict[str, int]:
        """Exit status of the runs that have ended since the last call, by key.

        Negative is the signal that ended it, :data:`INTERRUPTED` a time limit or the
        like, which no run is blamed for.
        """

    @abc.abstractmethod
    def stop(self) -> None:
        """End all runs, which keep their checkpoints, and let go of the machines."""

    def running(self, key: str) -> bool:
        """Whether a run that was started computes, and does not wait in a queue."""
        return True


def command(job: Path) -> list[str]:
    """The command line that does a job."""
    return [sys.executable, "-m", "cmim.suite.work", str(job)]


def environment(job: Path) -> dict[str, str]:
    """Environment of a run: threads and device that are its own, and this checkout.

    Args:
        job: The file that describes the run.
    """
    run = read_json(job)["run"]
    threads = run["threads"]
    # A run of a CPU stays one where there is a GPU: its key says so.
    hidden = {VISIBLE: ""} if run["device"] == "cpu" else {}
    here = str(Path(__file__).resolve().parents[3])
    paths = [here, *filter(None, [os.environ.get("PYTHONPATH")])]
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    return {
        **os.environ,
        **{name: str(threads) for name in names},
        **hidden,
        "PYTHONPATH": os.pathsep.join(paths),
        "NO_ALBUMENTATIONS_UPDATE": "1",
    }


def log_of(job: Path) -> Path:
    """Where the output of a job's process goes."""
    return job.with_name("output.log")
