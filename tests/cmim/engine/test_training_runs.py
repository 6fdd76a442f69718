"""Whole runs in this process: diverged, killed, damaged, averaged, overwritten."""

import json
import time
from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from cmim.checkpoint import CheckpointError, read_checkpoint
from cmim.engine.config import ConfigError, load_config
from cmim.engine.evaluate import evaluate, load_task_model
from cmim.engine.train import prepare_training, train
from cmim.hooks import DivergedError
from tasks.segmentation import SegmentationMetric

# Each trains several times.
pytestmark = pytest.mark.full

CONFIG = Path(__file__).parents[3] / "configs" / "rooms_seg_bireal.py"
TINY = {
    "model.partner": "none",
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


class Killed(BaseException):
    """Stands for kill -9."""


@HOOKS.register_module()
class KillInTests(Hook):
    """Ends a run in front of a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter + 1 == self.step:
            raise Killed


@HOOKS.register_module()
class SpoilInTests(Hook):
    """Puts NaN into the weights in front of a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter + 1 == self.step:
            next(runner.model.parameters()).data.fill_(float("nan"))


@pytest.fixture
def start(rooms, tmp_path):
    def start(*hooks: dict, options=None, without=(), final_test=False, **more):
        given = {"data_root": str(rooms), **TINY, **(options or {})}
        config = load_config(CONFIG, given)
        for key in without:
            config[key] = None
        config.custom_hooks = [*config.custom_hooks, *hooks]
        prepared = prepare_training(config, str(tmp_path / "run"), **more)
        return train(prepared, final_test=final_test)

    return start


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "run"


def steps_of(path: Path) -> int:
    return torch.load(path, weights_only=True)["meta"]["iter"]


def test_a_diverged_run_stops_and_keeps_the_last_finite_checkpoint(start, folder):
    with pytest.raises(DivergedError, match=r"^step 3: loss nan, .*last finite"):
        start(dict(type="SpoilInTests", step=3), final_test=True)
    assert read_checkpoint(folder / "last.pth")["meta"]["iter"] == 2
    assert not (folder / "metrics.json").exists()


def test_a_learning_rate_beyond_all_measure_stops_the_run(start, folder):
    for rate, said in (
        (1e30, r"^step [1-4]: "),
        (1e38, "the learning rate is 1e\\+38"),
    ):
        changed = {"optim_wrapper.optimizer.lr": rate, "param_scheduler": []}
        with pytest.raises(DivergedError, match=said):
            start(options=changed, final_test=True, overwrite=True)
    assert not (folder / "metrics.json").exists()


def test_two_runs_of_one_second_share_nothing(start, folder, monkeypatch):
    # The second would write its config into the folder of the first, which has moved.
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    start()
    start(overwrite=True)
    [second] = {path.parents[1].name for path in folder.glob("2*/vis_data/config.py")}
    [first] = {path.name for path in (folder / "previous_run_1").glob("2*")}
    assert second != first


def test_an_overwritten_run_is_never_handed_back(start, folder):
    start(final_test=True)
    old = (folder / "last.pth").read_bytes()
    with pytest.raises(Killed):
        start(dict(type="KillInTests", step=1), overwrite=True, seed=7)
    assert not any(folder.glob("*.pth"))
    assert not (folder / "metrics.json").exists()
    assert (folder / "previous_run_1" / "last.pth").read_bytes() == old
    assert (folder / "previous_run_1" / "metrics.json").is_file()
    with pytest.raises(ConfigError, match=r"optimizer.lr \(.* then, 0.5 now\)"):
        start(options={"optim_wrapper.optimizer.lr": 0.5}, resume=True)
    with pytest.raises(ConfigError, match="with seed 7, not 1"):
        start(resume=True, seed=1)
    start(resume=True)
    assert json.loads((folder / "run.json").read_text())["seed"] == 7
    assert steps_of(folder / "last.pth") == 4


def test_a_damaged_file_is_not_rotated_over_the_good_one(start, folder):
    start()
    good = (folder / "previous.pth").read_bytes()
    (folder / "last.pth").write_bytes(good[: len(good) // 2])
    with pytest.raises(Killed):
        start(dict(type="KillInTests", step=3), resume=True)
    assert (folder / "previous.pth").read_bytes() == good
    start(resume=True)
    assert (folder / "previous.pth").read_bytes() == good
    assert steps_of(folder / "last.pth") == 4
    (folder / "last.pth").write_bytes(b"torn")
    (folder / "previous.pth").write_bytes(b"torn")
    for more, error, said in (
        (dict(resume=True), CheckpointError, "nothing to resume from: .*last.pth' is "),
        ({}, ConfigError, "holds a run already"),
    ):
        with pytest.raises(error, match=said):
            start(**more)
    assert (folder / "last.pth").read_bytes() == b"torn"


def test_resuming_with_other_data_or_processes_is_refused(start, folder, rooms):
    with pytest.raises(Killed):
        start(dict(type="KillInTests", step=3))
    checkpoint = torch.load(folder / "last.pth", weights_only=True)
    images = checkpoint["meta"]["train_images"]
    assert 0 < images <= len((rooms / "train.txt").read_text().split())
    for name, value in (("train_images", images + 1), ("world_size", 2)):
        changed = {**checkpoint, "meta": {**checkpoint["meta"], name: value}}
        torch.save(changed, folder / "last.pth")
        with pytest.raises(CheckpointError, match=f"was trained with {value} "):
            start(resume=True)


def test_results_without_a_checkpoint_are_not_trained_over(start, folder):
    start()
    (folder / "last.pth").unlink()
    (folder / "previous.pth").unlink()
    (folder / "run.json").unlink()
    with pytest.raises(ConfigError, match="nothing to resume"):
        start(resume=True)


def averaged(path: Path) -> dict:
    return torch.load(path, weights_only=True)


@pytest.mark.slow
def test_ema_has_one_figure_and_resumes_exactly(start, folder, rooms, tmp_path):
    ema = dict(type="EMAHook", momentum=0.2)
    options = {"optim_wrapper.optimizer.lr": 0.1}
    whole = start(ema, options=options, final_test=True)["test"]
    config = load_config(CONFIG, {"data_root": str(rooms), **TINY})
    again = evaluate(load_task_model(config, str(folder / "last.pth")), config)
    names = ("mIoU", "pixel_accuracy", "mean_accuracy")
    assert {k: whole[k] for k in names} == {k: again[k] for k in names}
    expected = averaged(folder / "last.pth")
    kill = dict(type="KillInTests", step=3)
    with pytest.raises(Killed):
        start(ema, kill, options=options, overwrite=True)
    start(ema, options=options, resume=True)
    actual = averaged(folder / "last.pth")
    for part in ("state_dict", "ema_state_dict"):
        for key, value in expected[part].items():
            assert torch.equal(value, actual[part][key]), key
    assert any(
        not torch.equal(value, expected["ema_state_dict"][f"module.{key}"])
        for key, value in expected["state_dict"].items()
    )


VALIDATION = ("val_dataloader", "val_cfg", "val_evaluator")


@pytest.mark.parametrize(
    ("without", "first", "said"),
    [
        (VALIDATION, 1, "needs validation data: give the config val_dataloader, val_"),
        ((), 9, "the first one would be at step 9 of 4"),
    ],
)
def test_best_needs_a_validation(start, without, first, said):
    options = {"default_hooks.checkpoint.best": "mIoU", "train_cfg.val_begin": first}
    with pytest.raises(ValueError, match=said):
        start(options=options, without=without)


def test_a_figure_that_is_not_finite_is_no_result(start, folder, monkeypatch):
    figures = {"mIoU": float("nan"), "pixel_accuracy": 3.0}
    monkeypatch.setattr(
        SegmentationMetric, "compute_metrics", lambda self, results: figures
    )
    options = {"default_hooks.checkpoint.best": None}
    with pytest.raises(ValueError, match="mIoU nan, pixel_accuracy 3: what is not"):
        start(final_test=True, options=options, without=VALIDATION)
    assert not (folder / "metrics.json").exists()
