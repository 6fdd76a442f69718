"""Records the loss of each step, by which a run is compared with a repeated one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from torch import Tensor

from cmim.whole_output import write_whole

# Steps whose losses are kept at most.
MOST = 2000


@HOOKS.register_module()
class RecordTrace(Hook):
    """Write ``trace.json`` at the end: the total loss of every step, exactly.

    Of a run of more than 2,000 steps every n-th one is kept. Between checkpoints the
    values stay on their device. A resumed run ends with the same file as the
    uninterrupted one. Of several processes it is the loss of the joined batch.

    ``trace.json`` holds ``every`` (steps between two values) and ``loss``.
    """

    # Before the checkpoint is written.
    priority = "BELOW_NORMAL"

    def __init__(self) -> None:
        self._every = 1
        self._read: list[float] = []
        self._waiting: list[Tensor] = []

    def before_train(self, runner: Any) -> None:
        self._every = -(-runner.max_iters // MOST)
        if not runner.iter:
            self._read = []
        self._waiting = []

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        if runner.iter % self._every == 0 and outputs and "loss" in outputs:
            # A copy: what the logs show stays this process's own.
            loss = torch.as_tensor(outputs["loss"]).detach().clone()
            all_reduce(loss, "mean")
            self._waiting.append(loss)

    def losses(self) -> list[float]:
        """All that were kept so far; waits for the device."""
        if self._waiting:
            self._read += torch.stack(self._waiting).float().tolist()
            self._waiting = []
        return self._read

    def before_save_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        checkpoint["trace"] = list(self.losses())

    def after_load_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        self._read = list(checkpoint.get("trace", []))

    def after_train(self, runner: Any) -> None:
        if runner.rank == 0:
            content = dict(every=self._every, loss=self.losses())
            write_whole(Path(runner.work_dir) / "trace.json", json.dumps(content))
