"""Takes the batch-norm statistics of the trained network anew at the end."""

from __future__ import annotations

from itertools import islice
from typing import Any

from mmengine.hooks import EMAHook, Hook
from mmengine.model import BaseModel, is_model_wrapper
from mmengine.registry import HOOKS

from cmim.convert import recalibrate_batch_norm


@HOOKS.register_module()
class RecalibrateBatchNorm(Hook):
    """Recalibrate batch-norms after the last step, before checkpoint and final test.

    Statistics come from the training batches that would be next, normalised and
    augmented as in training, so that they are a function of the seed and the number of
    steps alone: a resumed run has the same. They are those of the weights that
    ``last.pth`` hands out, with an averaging hook (EMA) the averages. Checkpoints in
    between, ``best.pth`` among them, keep the running statistics of the training.

    Args:
        batches: How many training batches.

    Raises:
        ValueError: Less than one batch.
    """

    # After clipping and averaging, before the checkpoint is written.
    priority = "LOW"

    def __init__(self, batches: int = 50) -> None:
        if batches < 1:
            raise ValueError(f"batches must be at least 1, got {batches}")
        self.batches = batches

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        if not self.is_last_train_iter(runner):
            return
        model = _handed_out(runner).train()
        found = recalibrate_batch_norm(
            model,
            islice(runner.train_loop.dataloader_iterator, self.batches),
            lambda batch: _run(model, batch),
        )
        runner.logger.info(
            f"statistics of {len(found)} batch-norms from {self.batches} training "
            "batches"
        )


def _handed_out(runner: Any) -> BaseModel:
    """The model whose weights the last checkpoint hands out."""
    averages = [hook for hook in runner.hooks if isinstance(hook, EMAHook)]
    if averages:
        return averages[0].ema_model.module
    return runner.model.module if is_model_wrapper(runner.model) else runner.model


def _run(model: BaseModel, batch: Any) -> None:
    data = model.data_preprocessor(batch, True)
    model(data["inputs"], data.get("data_samples"), mode="tensor")
