"""The check of a data set: every file counted, every mistake named."""

import numpy as np
import pytest
from folder_cases import CLASSES, DEPTH, SEG, build, plain, write
from mmengine.config import Config

import tasks.datasets.image_folder  # noqa: F401
from tasks.datasets.errors import DataError
from tasks.datasets.survey import as_text, survey, survey_config


def test_survey_counts_everything_and_names_every_problem(tmp_path):
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

    dataset = build(tmp_path, {**SEG, **DEPTH}, **options)
    for number, value in ((1, 7), (3, 9)):
        name = f"labels/train/{number}.png"
        write(tmp_path / name, np.full((4, 6), value, np.uint8))
    problems = survey(dataset)["problems"]
    assert ["7" in problems[0], "9" in problems[1], len(problems)] == [True, True, 2]


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
    for number in range(2):
        folder = tmp_path / "pictures" / "train" / "sky"
        write(folder / f"{number}.png", np.zeros((4, 4, 3), np.uint8))
    other = dict(
        type="ImageFolderDataset", data_root=str(tmp_path / "pictures"), split="train"
    )
    with pytest.raises(DataError, match="train_dataloader reads ImageFolderDataset"):
        survey_config(Config(dict(train_dataloader=dict(dataset=other))))
