"""RecalibrateBatchNorm in whole runs: at the end, tested, resumed, averaged."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from cmim.checkpoint import read_checkpoint
from cmim.engine.config import load_config
from cmim.engine.evaluate import evaluate, load_task_model
from cmim.engine.train import prepare_training, train
from cmim.hooks import ClipLatentWeights, RecalibrateBatchNorm, SaveCheckpoint

CONFIG = Path(__file__).parents[3] / "configs" / "rooms_seg_bireal.py"
TINY = {
    "model.model.backbone.base_channels": 4,
    "model.model.decode_head.in_channels": 32,
    "model.model.decode_head.channels": 8,
    "train_dataloader.num_workers": 0,
    "test_dataloader.num_workers": 0,
    "val_dataloader.num_workers": 0,
    "train_dataloader.batch_size": 2,
    "train_dataloader.dataset.pipeline.1.base_size": (48, 64),
    "train_dataloader.dataset.pipeline.1.crop_size": (32, 48),
    "val_dataloader.dataset.pipeline.1.size": (48, 64),
    "test_dataloader.dataset.pipeline.1.size": (48, 64),
    "train_cfg.max_iters": 4,
    "train_cfg.val_interval": 100,
    "default_hooks.checkpoint.interval": 2,
    "log_level": "ERROR",
}
NAMES = ("mIoU", "pixel_accuracy", "mean_accuracy")


class Killed(BaseException):
    """Stands for kill -9."""


@HOOKS.register_module()
class KillBeforeStep(Hook):
    """Ends a run in front of a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter + 1 == self.step:
            raise Killed


@pytest.fixture
def start(rooms, tmp_path):
    def start(*hooks: dict, folder: str = "run", **more):
        config = load_config(CONFIG, {"data_root": str(rooms), **TINY})
        config.custom_hooks = [*config.custom_hooks, *hooks]
        prepared = prepare_training(config, str(tmp_path / folder), **more)
        figures = train(prepared, final_test=True)
        return figures["test"], read_checkpoint(tmp_path / folder / "last.pth")

    return start


def state_of(checkpoint: dict) -> dict[str, torch.Tensor]:
    return checkpoint["state_dict"]


def differing(ours: dict, theirs: dict) -> set[str]:
    return {key for key, value in ours.items() if not value.equal(theirs[key])}


RECALIBRATE = dict(type="RecalibrateBatchNorm", batches=3)
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


@pytest.mark.full
def test_last_checkpoint_has_other_statistics_and_gives_the_tested_figures(
    start, rooms, tmp_path
):
    _, plain = start(folder="plain")
    figures, ours = start(RECALIBRATE)
    changed = differing(state_of(ours), state_of(plain))
    assert changed
    assert {key.rpartition(".")[2] for key in changed} <= set(STATISTICS)
    # Batch-norms of the task model ran; those of the contrastive loss did not.
    tracked = {
        key: int(value)
        for key, value in state_of(ours).items()
        if key.endswith("num_batches_tracked")
    }
    assert {n for k, n in tracked.items() if not k.startswith("contrast.")} == {3}
    config = load_config(CONFIG, {"data_root": str(rooms), **TINY})
    model = load_task_model(config, str(tmp_path / "run" / "last.pth"))
    again = evaluate(model, config)
    assert {k: figures[k] for k in NAMES} == {k: again[k] for k in NAMES}


@pytest.mark.full
@pytest.mark.parametrize("averaging", [False, True])
def test_a_resumed_run_ends_in_the_same_bits(start, averaging):
    hooks = [dict(type="EMAHook", momentum=0.2)] if averaging else []
    hooks.append(RECALIBRATE)
    figures, whole = start(*hooks)
    tracked = [v for k, v in state_of(whole).items() if k.endswith("batches_tracked")]
    assert 3 in {int(value) for value in tracked}
    with pytest.raises(Killed):
        start(*hooks, dict(type="KillBeforeStep", step=4), overwrite=True)
    again, resumed = start(*hooks, resume=True)
    assert not differing(state_of(whole), state_of(resumed))
    assert {k: figures[k] for k in NAMES} == {k: again[k] for k in NAMES}


def test_it_works_between_clipping_and_the_checkpoint():
    order = [ClipLatentWeights, RecalibrateBatchNorm, SaveCheckpoint]
    words = [hook.priority for hook in order]
    assert words == ["NORMAL", "LOW", "VERY_LOW"]
    with pytest.raises(ValueError, match="batches must be at least 1, got 0"):
        RecalibrateBatchNorm(batches=0)
