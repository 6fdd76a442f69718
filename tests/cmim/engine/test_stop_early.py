"""Early stopping: when it ends, what it leaves, and that resuming changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine.hooks import EarlyStoppingHook
from test_training_runs import CONFIG, TINY, Killed, KillInTests

from cmim.checkpoint import read_checkpoint
from cmim.engine.config import load_config
from cmim.engine.train import prepare_training, train
from cmim.hooks import StopEarly

pytestmark = pytest.mark.full  # Whole trainings.
# Better, better, as good, worse: of patience 2 it is the fourth validation that ends.
SCORES = (1.0, 2.0, 2.0, 1.5, 9.0, 9.0)
EACH_STEP = {
    "train_cfg.max_iters": 6,
    "train_cfg.val_interval": 1,
    "default_hooks.checkpoint.interval": 1,
}


@pytest.fixture(autouse=True)
def scores(monkeypatch) -> None:
    """Validations measure what ``SCORES`` says."""
    real = StopEarly.after_val_epoch

    def after_val_epoch(hook, runner, metrics=None):
        real(hook, runner, {"mIoU": SCORES[runner.iter - 1]} if runner.iter else {})

    monkeypatch.setattr(StopEarly, "after_val_epoch", after_val_epoch)


def run(rooms: Path, folder: Path, *hooks: dict, resume=False, **options) -> dict:
    config = load_config(CONFIG, {**TINY, **EACH_STEP, "data_root": str(rooms)})
    stop = dict(type=StopEarly, monitor="mIoU", patience=2)
    config.custom_hooks = [*config.custom_hooks, *(hooks or [stop])]
    if hooks and hooks[0]["type"] is KillInTests:
        config.custom_hooks.append(stop)
    config.merge_from_dict(options)
    prepared = prepare_training(config, work_dir=str(folder), resume=resume)
    return train(prepared, final_test=False)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return read_checkpoint(folder / "last.pth")["state_dict"]


@pytest.mark.parametrize("best", ["mIoU", None])
def test_it_stops_and_a_resumed_run_stops_alike(best, rooms, tmp_path):
    chosen = {"default_hooks.checkpoint.best": best}
    assert run(rooms, tmp_path / "whole", **chosen)["steps"] == 4
    saved = read_checkpoint(tmp_path / "whole" / "last.pth")
    assert saved["meta"]["iter"] == 4
    # Killed behind the third step, whose validation is then lost.
    kill = dict(type=KillInTests, step=4)
    with pytest.raises(Killed):
        run(rooms, tmp_path / "halves", kill, **chosen)
    assert run(rooms, tmp_path / "halves", resume=True, **chosen)["steps"] == 4
    first, second = weights(tmp_path / "whole"), weights(tmp_path / "halves")
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    # What has stopped stays where it is.
    assert run(rooms, tmp_path / "whole", resume=True, **chosen)["steps"] == 4


def test_the_step_that_it_stops_at_is_saved(rooms, tmp_path):
    run(rooms, tmp_path, **{"default_hooks.checkpoint.interval": 100})
    assert read_checkpoint(tmp_path / "last.pth")["meta"]["iter"] == 4


@pytest.mark.parametrize(
    ("options", "hook", "said"),
    [
        ({"val_dataloader.dataset.split": "test"}, {}, "must not say when to stop"),
        ({}, dict(monitor="rmse", rule="less"), "'rmse' is not among those measured"),
        ({}, dict(patience=0), "patience must be at least 1"),
        ({}, dict(min_delta=0.0), "min_delta must be more than 0"),
        ({}, dict(type=EarlyStoppingHook), "put StopEarly"),
        (
            dict(val_dataloader=None, val_cfg=None, val_evaluator=None),
            {},
            "needs validation data",
        ),
    ],
)
def test_what_cannot_be_is_refused(options, hook, said, rooms, tmp_path):
    stop = dict(dict(type=StopEarly, monitor="mIoU", patience=2), **hook)
    chosen = {"default_hooks.checkpoint.best": None, **options}
    with pytest.raises(ValueError, match=said):
        run(rooms, tmp_path, stop, **chosen)
