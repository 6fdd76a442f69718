"""Every task declares the same things, also one of a user's own."""

import importlib
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from cmim import task as declarations
from cmim.models.settings import resolve_settings
from cmim.task import Labels, Task, get_task, known_tasks
from tasks.prediction_writer import PredictionWriter
from tasks.transforms import PackFrame

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", known_tasks())
def test_random_truth_is_like_the_truth(name):
    task = get_task(name)
    generator = torch.Generator().manual_seed(0)
    truth = task.random_truth(generator, (4, 6), dict(num_classes=3))
    if not task.channels:
        assert truth in range(3)
        return
    nothing = task.nothing_known((4, 6))
    assert (truth.data.shape, truth.data.dtype) == (nothing.shape, nothing.dtype)
    assert not torch.equal(truth.data, nothing)
    if task.labels:
        assert (task.labels.of(truth.data) >= 0).all()
        assert (task.labels.of(nothing) == -1).all()


def test_main_figures_are_those_that_the_metrics_report():
    figures = {task.name: (task.figure, task.higher_is_better) for task in tasks()}
    assert figures == dict(
        classes=("top1", True),
        seg=("mIoU", True),
        depth=("rmse", False),
        scene=("top1", True),
        edges=("ods", True),
        normals=("mean_angle", False),
    )


def tasks() -> list[Task]:
    return list(known_tasks().values())


@pytest.fixture
def height(monkeypatch, tmp_path):
    """A task that is declared outside of tasks/."""
    monkeypatch.setattr(declarations, "_declared", dict(declarations._declared))

    def write(sample, base, names, palette):
        return base.with_name(f"{base.name}_height.png")

    return Task(
        name="height",
        truth="gt_height_map",
        prediction="pred_height_map",
        fill=lambda output, samples: None,
        figure="error",
        regression=True,
        labels=Labels("height", "height in metres", "height", torch.Tensor.long),
        write=write,
        files=("_height.png",),
    )


def test_a_task_of_a_users_own_is_known_once_it_is_declared(height, tmp_path):
    assert get_task("height") is height
    frame = dict(
        img=np.zeros((2, 4, 3), np.uint8), gt_height_map=np.ones((2, 4), np.uint8)
    )
    truth = PackFrame()(frame)["data_samples"].gt_height_map.data
    assert (truth.shape, truth.dtype) == ((1, 2, 4), torch.float32)
    sample = SegDataSample(metainfo=dict(img_path="a/kitchen.png"))
    sample.set_data(dict(pred_height_map=PixelData(data=truth)))
    assert [p.name for p in PredictionWriter(tmp_path)(sample)] == [
        "kitchen_height.png"
    ]
    assert resolve_settings(None, negatives="other_height").negatives == "other_height"


def test_two_tasks_of_one_name_are_refused(height):
    assert get_task("height").complete([SegDataSample()], (2, 2), CPU) is False
    with pytest.raises(ValueError, match="two tasks 'height'"):
        Task("height", "gt_other", "pred_other", height.fill, "error")


def test_a_module_that_is_run_again_replaces_its_task(height, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    source = tmp_path / "own_task_of_a_user.py"
    text = """
from cmim.task import Task
TASK = Task("pose", "gt_pose", "pred_pose", lambda output, samples: None, "error")
"""
    source.write_text(text)
    module = importlib.import_module("own_task_of_a_user")
    source.write_text(text.replace('"error"', '"share"'))
    importlib.reload(module)
    assert get_task("pose") is module.TASK
    assert get_task("pose").figure == "share"
    (tmp_path / "another_task_of_a_user.py").write_text(text)
    with pytest.raises(ValueError, match="two tasks 'pose'"):
        importlib.import_module("another_task_of_a_user")
    with pytest.raises(ValueError, match="two tasks 'pose'"):
        replace(module.TASK, figure="f1")
    del sys.modules["own_task_of_a_user"]


def test_an_unknown_task_is_named():
    with pytest.raises(ValueError, match="task 'pose' is unknown; choose from classes"):
        get_task("pose")
