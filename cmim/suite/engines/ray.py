"""Ray: on this machine, or on a cluster by its address."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from cmim.engine.config_error import ConfigError
from cmim.json_file import read_json
from cmim.optional_packages import require_packages
from cmim.suite.engines.engine import Engine, command, environment, log_of
from cmim.suite.engines.gpus import VISIBLE


class RayEngine(Engine):
    """Each run is a task of Ray that asks for as many CPUs as it has threads.

    One that is computed on GPUs asks for one, and gets the one that Ray has chosen.

    Ray may lose a worker; the suite then starts the run again, which goes on from its
    checkpoint.

    Args:
        address: Of the cluster (``ray start --head`` prints it); a cluster on this
            machine is started, and ended, when None.
        workers: CPUs of that cluster; all cores when None.

    Raises:
        ConfigError: A run needs a GPU, and the cluster on this machine has none.
    """

    slots = None

    def __init__(self, address: str | None = None, workers: int | None = None) -> None:
        require_packages("engine 'ray'", "ray")
        import ray

        self._ray = ray
        chosen: dict[str, Any] = (
            dict(num_cpus=workers, include_dashboard=False)
            if address is None
            else dict(address=address)
        )
        ray.init(log_to_driver=False, logging_level="ERROR", **chosen)
        # Others may grow, and have a GPU once a run waits for it.
        self._fixed = address is None
        self._tasks: dict[str, Any] = {}

    def start(self, key: str, job: Path, threads: int) -> None:
        env = environment(job)
        gpus = int(read_json(job)["run"]["device"] == "cuda")
        if gpus:
            # What this process may use says nothing of the machine of the run.
            env.pop(VISIBLE, None)
            self._check_gpus()
        task = self._ray.remote(num_cpus=threads, num_gpus=gpus, max_retries=0)(_work)
        self._tasks[key] = task.remote(command(job), env, str(log_of(job)))

    def _check_gpus(self) -> None:
        """Refuse to wait for a GPU that will never be there."""
        if self._fixed and not self._ray.cluster_resources().get("GPU"):
            raise ConfigError(
                "the runs are planned for cuda, and Ray finds no GPU on this machine; "
                "name a cluster that has some (--engine-options address=HOST:6379), or "
                "plan them with device = 'cpu'"
            )

    def ended(self) -> dict[str, int]:
        found = {}
        for key, task in list(self._tasks.items()):
            done, _ = self._ray.wait([task], timeout=0)
            if not done:
                continue
            try:
                found[key] = self._ray.get(task)
            except self._ray.exceptions.RayError:
                found[key] = -9
            del self._tasks[key]
        return found

    def stop(self) -> None:
        for task in self._tasks.values():
            self._ray.cancel(task, force=True)
        self._tasks.clear()
        self._ray.shutdown()


def _work(words: list[str], env: dict[str, str], log: str) -> int:
    """In a worker: do a job in a process of its own, which ends with the worker.

    Its GPU is the worker's, where the environment says nothing of it.
    """
    from cmim.suite.engines.local import die_with_parent

    if VISIBLE in os.environ:
        env = {VISIBLE: os.environ[VISIBLE], **env}
    with open(log, "ab") as file:
        return subprocess.run(
            words, env=env, stdout=file, stderr=file, preexec_fn=die_with_parent()
        ).returncode


ENGINE = RayEngine
