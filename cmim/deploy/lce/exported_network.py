"""A ``.tflite`` file in place of a task model's encoder and heads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.model import BaseModel

from cmim.deploy.binary_layer import ExportError
from cmim.deploy.engine import ExportedNetwork, task_model_of
from cmim.deploy.lce.worker_process import WorkerProcess, shared_worker
from cmim.deploy.network_core import OUTPUT
from cmim.deploy.seal import check_seal


class LceNetwork(ExportedNetwork):
    """A file in Larq Compute Engine's process, called with tensors.

    Args:
        path: The ``.tflite`` file.
        threads: CPU threads; as many as torch has when None.
        worker: The process; the shared one when None.

    Raises:
        ExportError: The file is missing, or not as it was exported.
        ImportError: The engine is not here.
    """

    def __init__(
        self,
        path: str | Path,
        threads: int | None = None,
        worker: WorkerProcess | None = None,
    ) -> None:
        if not Path(path).is_file():
            raise ExportError(f"exported model {path} does not exist")
        check_seal(path)
        worker = shared_worker() if worker is None else worker
        place = str(Path(path).resolve())
        threads = threads or torch.get_num_threads()
        found, _ = worker.ask("open", path=place, threads=threads)
        notes = found["notes"]
        if notes is None:
            raise ExportError(f"{path} is damaged: its note cmim is no JSON object")
        batch, height, width, bands = found["input"]
        super().__init__(
            str(path),
            notes.get("identity"),
            (batch, bands, height, width),
            [name.removeprefix(OUTPUT) for name in notes.get("outputs", [])],
            [shape[-1] for shape in found["outputs"]],
        )
        self._place, self._worker = place, worker

    def run(self, images: np.ndarray) -> list[np.ndarray]:
        return self._worker.ask("run", [images], path=self._place)[1]


def load_tflite(
    model_config: dict[str, Any],
    path: str | Path,
    identity: dict[str, Any] | None = None,
    threads: int | None = None,
) -> BaseModel:
    """A task model that Larq Compute Engine runs, see :func:`task_model_of`."""
    return task_model_of(LceNetwork(path, threads), model_config, identity)
