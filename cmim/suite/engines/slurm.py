"""Slurm: each run is a job.

Its own commands are asked, not submitit: that reads how a job has ended from the
accounting, which small clusters have not, and otherwise waits for ever.
"""

from __future__ import annotations

import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cmim.digest import sha256_of
from cmim.engine.config_error import ConfigError
from cmim.suite.engines.engine import (
    INTERRUPTED,
    Engine,
    command,
    environment,
    log_of,
)

# Minutes that a job may take where nothing else is said.
MINUTES = 240
# Seconds between two questions to the controller, which all users share.
PAUSE = 2.0
# Seconds until a job has ended whose exit status does not arrive.
PATIENCE = 20.0
_WAITS = {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT"}
_GOES_ON = _WAITS | {
    *("RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "RESIZING"),
    *("STAGE_OUT", "REQUEUE_FED"),
}
# Ends that no run is to blame for.
_TAKEN_AWAY = {
    *("TIMEOUT", "DEADLINE", "PREEMPTED", "NODE_FAIL", "BOOT_FAIL", "REVOKED"),
    "LAUNCH_FAILED",
}
# What a shell adds to the signal that ended its command.
_SIGNAL = 128


@dataclass
class _Job:
    """A job in the queue, and the file that gets its exit status."""

    number: str
    status: Path
    state: str = "PENDING"
    gone_since: float | None = None


class SlurmEngine(Engine):
    """Each run is a job of one task with as many CPUs as it has threads.

    What is still queued or running when the suite is killed is found again by its name.

    Args:
        partition: Of the cluster; its default when None.
        minutes: Time limit of a job. A run that reaches it goes on from its checkpoint
            in another job.
        gpus: Of each job.
        account: That pays, where the cluster asks.
        workers: Jobs of this suite in the queue at a time; as many as there are runs
            when None.

    Raises:
        ConfigError: Slurm's commands are not here.
    """

    def __init__(
        self,
        partition: str | None = None,
        minutes: int = MINUTES,
        gpus: int = 0,
        account: str | None = None,
        workers: int | None = None,
    ) -> None:
        missing = [w for w in ("sbatch", "squeue", "scancel") if not shutil.which(w)]
        if missing:
            raise ConfigError(
                f"engine 'slurm' needs {', '.join(missing)}, which is not here: start "
                "the suite on a machine of the cluster, or choose --engine local"
            )
        self.slots = workers
        self._options = [f"--time={minutes}", "--ntasks=1", "--no-requeue"]
        self._options += [f"--partition={partition}"] if partition else []
        self._options += [f"--account={account}"] if account else []
        self._options += [f"--gpus-per-task={gpus}"] if gpus else []
        self._jobs: dict[str, _Job] = {}
        self._asked = 0.0

    def start(self, key: str, job: Path, threads: int) -> None:
        name = f"cmim-{key}-{sha256_of(str(job.resolve()).encode())[:6]}"
        number = _queued(name) or self._submit(name, job, threads)
        self._jobs[key] = _Job(number, _status_file(job, number))

    def _submit(self, name: str, job: Path, threads: int) -> str:
        script = job.with_name("slurm.sh")
        status = _status_file(job, "$SLURM_JOB_ID")
        script.write_text(
            "#!/bin/bash\n"
            f"{shlex.join(command(job))} >>{shlex.quote(str(log_of(job)))} 2>&1\n"
            f"echo $? >{shlex.quote(str(status.parent))}/{status.name}\n"
        )
        words = [
            *("sbatch", "--parsable", f"--job-name={name}", *self._options),
            *(f"--cpus-per-task={threads}", f"--output={log_of(job)}"),
            *("--open-mode=append", str(script)),
        ]
        # A suite may itself run in a job, whose own settings are not meant for others.
        env = {
            name: value
            for name, value in environment(job).items()
            if not name.startswith("SLURM_") or name == "SLURM_CONF"
        }
        done = subprocess.run(words, env=env, capture_output=True, text=True)
        if done.returncode:
            raise ConfigError(f"Slurm does not take the job: {_said(done)}")
        # The number, and the cluster's name where there are several.
        return done.stdout.strip().partition(";")[0]

    def ended(self) -> dict[str, int]:
        self._ask()
        found = {}
        for key, job in list(self._jobs.items()):
            status = _exit_status(job)
            if status is not None:
                found[key] = status
                del self._jobs[key]
        return found

    def running(self, key: str) -> bool:
        return self._jobs[key].state not in _WAITS

    def stop(self) -> None:
        numbers = [job.number for job in self._jobs.values()]
        if numbers:
            subprocess.run(["scancel", *numbers], capture_output=True)
        self._jobs.clear()

    def _ask(self) -> None:
        """Look at the queue, now and then."""
        if not self._jobs or time.monotonic() < self._asked + PAUSE:
            return
        self._asked = time.monotonic()
        states = _states(job.number for job in self._jobs.values())
        if states is None:  # the controller does not answer
            return
        for job in self._jobs.values():
            # Of a job that ended some time ago the controller knows nothing any more.
            job.state = states.get(job.number, "UNKNOWN")
            if job.state in _GOES_ON:
                job.gone_since = None
            elif job.gone_since is None:
                job.gone_since = time.monotonic()


def _exit_status(job: _Job) -> int | None:
    """How a job has ended; None where it has not, or its file is on its way."""
    try:
        status = int(job.status.read_text())
    except (OSError, ValueError):
        status = None
    if status is not None and status <= _SIGNAL:
        return status
    # Whose signal it was, the queue says.
    if job.gone_since is None:
        return None
    if job.state in _TAKEN_AWAY:
        return INTERRUPTED
    if status is not None:
        return _SIGNAL - status
    late = time.monotonic() > job.gone_since + PATIENCE
    return -signal.SIGKILL if late else None


def _status_file(job: Path, number: str) -> Path:
    return job.with_name(f"slurm_status.{number}")


def _queued(name: str) -> str | None:
    """The number of a job of a name that an earlier call has left in the queue."""
    words = ["squeue", "--me", "--noheader", f"--name={name}", "--format=%i"]
    done = subprocess.run(words, capture_output=True, text=True)
    return done.stdout.split()[0] if done.returncode == 0 and done.stdout else None


def _states(numbers: Iterable[str]) -> dict[str, str] | None:
    """States of jobs by number, those that ended a while ago left out.

    None where the controller does not answer.
    """
    words = ["squeue", "--me", "--noheader", "--states=all", "--format=%i %T"]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        return None
    lines = (line.split() for line in done.stdout.splitlines())
    wanted = set(numbers)
    return {words[0]: words[1] for words in lines if words and words[0] in wanted}


def _said(done: subprocess.CompletedProcess[str]) -> str:
    lines = (done.stderr or done.stdout).strip().splitlines()
    return lines[-1].removeprefix("sbatch: ") if lines else f"status {done.returncode}"


ENGINE = SlurmEngine
