"""The check of a data set: every file counted, every mistake named."""

import numpy as np
import pytest
from folder_cases import CLASSES, DEPTH, SEG, build, plain, write
from mmengine.config import Config

from tasks.datasets.errors import DataError
from tasks.datasets.survey import as_text, survey, survey_config


def test_survey_counts_everything(tmp_path):
    plain(tmp_path, 5, values=(0, 0, 255))
    write(tmp_path / "images/train/0.jpg", np.zeros((8, 6, 3), np.uint8))
    write(tmp_path / "labels/train/0.png", np.zeros((8, 6), np.uint8))
    write(tmp_path / "depth/train/0.png", np.full((8, 6), 3000, np.uint16))
    options = dict(depth_scale=0.001, void_values=[255])
    found = survey(build(tmp_path, {**SEG, **DEPTH}, **options))
    assert found["pictures"] == 5
    assert (found["smallest"], found["largest"]) == ([4, 6], [8, 6])
    # 48 pixels of the first and 16 of each other are class 0, of 48 + 4 * 24.
    assert found["classes"] == dict(road=pytest.approx(100 * 112 / 144), car=0)
    assert found["void"] == pytest.approx(100 * 32 / 144)
    assert found["depth"] == pytest.approx([1.5, 3.0])
    assert found["unknown"] == pytest.approx(100 * 32 / 144)
    assert "no pixel of car" in as_text("train", found)


def test_every_problem_is_named_also_of_the_frames_that_are_probed(tmp_path):
    plain(tmp_path, 5)
    for number, value in ((0, 7), (3, 9)):
        name = f"labels/train/{number}.png"
        write(tmp_path / name, np.full((4, 6), value, np.uint8))
    path = tmp_path / "images/train/1.jpg"
    write(path, np.random.default_rng(0).integers(0, 255, (90, 90, 3), np.uint8))
    write(tmp_path / "labels/train/1.png", np.zeros((90, 90), np.uint8))
    path.write_bytes(path.read_bytes()[:3000])
    problems = survey(build(tmp_path, probe=False))["problems"]
    assert len(problems) == 3
    for problem, said in zip(problems, ("7", "damaged", "9"), strict=True):
        assert said in problem


@pytest.mark.full
def test_masks_that_could_mean_two_things_are_a_problem(tmp_path):
    plain(tmp_path, values=(0, 255))
    (problem,) = survey(build(tmp_path, probe=False))["problems"]
    assert "label_values=[0, 255]" in problem
    assert not survey(build(tmp_path, void_values=[255]))["problems"]


def test_depth_that_is_nowhere_known_is_said(tmp_path):
    plain(tmp_path, 1)
    write(tmp_path / "depth/train/0.png", np.zeros((4, 6), np.uint16))
    with pytest.raises(DataError, match="no pixel is known"):
        build(tmp_path, DEPTH, depth_scale=0.001)
    found = survey(build(tmp_path, DEPTH, depth_scale=0.001, probe=False))
    assert found["depth"] is None
    assert "no pixel is known" in found["problems"][0]
    assert "depth unknown at 100.0 % of the pixels" in as_text("train", found)


@pytest.mark.full
def test_every_loader_of_a_config_is_surveyed(tmp_path):
    plain(tmp_path, 2)
    plain(tmp_path, 3, split="val")
    described = dict(
        type="DenseFolderDataset", data_root=str(tmp_path), metainfo=CLASSES, **SEG
    )
    loaders = dict(
        train_dataloader=dict(dataset=dict(described, split="train")),
        test_dataloader=dict(dataset=dict(described, split="val")),
    )
    found = survey_config(Config(loaders))
    assert {k: v["pictures"] for k, v in found.items()} == dict(train=2, test=3)
    assert "depth" not in found["train"]
    assert "trained" not in found["test"]
    loaders["test_dataloader"]["dataset"]["split"] = "train"
    found = survey_config(Config(loaders))
    assert found["test"]["trained"] == 2
    assert "2 of them are trained on, too" in as_text("test", found["test"])
    other = dict(type="NYUv2Dataset", data_root="nowhere", split="train")
    with pytest.raises(DataError, match="train_dataloader reads NYUv2Dataset"):
        survey_config(Config(dict(train_dataloader=dict(dataset=other))))
