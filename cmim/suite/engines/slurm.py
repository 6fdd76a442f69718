"""Slurm, by submitit: each run is a job."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from cmim.optional_packages import require_packages
from cmim.suite.engines.engine import Engine, command, environment, log_of

# Minutes that a job may take where nothing else is said.
MINUTES = 240


class SlurmEngine(Engine):
    """Each run is a job of one task with as many CPUs as it has threads.

    Args:
        partition: Of the cluster; its default when None.
        minutes: Time limit of a job; a run that reaches it goes on when the suite is
            started again.
        gpus: Of each job.
        account: That pays, where the cluster asks.
        workers: Jobs of this suite in the queue at a time; as many as there are runs
            when None.
    """

    def __init__(
        self,
        partition: str | None = None,
        minutes: int = MINUTES,
        gpus: int = 0,
        account: str | None = None,
        workers: int | None = None,
    ) -> None:
        require_packages("engine 'slurm'", "submitit")
        self.slots = workers
        named = dict(slurm_partition=partition, slurm_account=account)
        self._options: dict[str, Any] = {k: v for k, v in named.items() if v}
        self._options["timeout_min"] = minutes
        if gpus:
            self._options["slurm_gpus_per_task"] = gpus
        self._jobs: dict[str, Any] = {}

    def start(self, key: str, job: Path, threads: int) -> None:
        import submitit

        executor = submitit.AutoExecutor(folder=job.parent / "slurm", cluster="slurm")
        executor.update_parameters(
            name=f"cmim-{key}", cpus_per_task=threads, **self._options
        )
        self._jobs[key] = executor.submit(
            _work, command(job), environment(job), str(log_of(job))
        )

    def ended(self) -> dict[str, int]:
        found = {}
        for key, job in list(self._jobs.items()):
            if not job.done():
                continue
            failed = job.exception() is not None
            found[key] = -9 if failed else job.result()
            del self._jobs[key]
        return found

    def running(self, key: str) -> bool:
        return self._jobs[key].state not in ("PENDING", "UNKNOWN", "REQUEUED")

    def stop(self) -> None:
        for job in self._jobs.values():
            job.cancel()
        self._jobs.clear()


def _work(words: list[str], env: dict[str, str], log: str) -> int:
    with open(log, "ab") as file:
        return subprocess.run(words, env=env, stdout=file, stderr=file).returncode


ENGINE = SlurmEngine
