"""The fixed validation split of NYUv2, and the override that selects on it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from cmim.engine.config import ConfigError, load_config
from tasks.datasets.errors import DataError
from tasks.datasets.nyud import NYUv2Dataset
from tasks.datasets.nyud_validation import (
    VALIDATION_RUNS,
    draw_validation,
    runs_of,
    validation_names,
)

CONFIGS = Path(__file__).parents[3] / "configs"


def names(folder: Path, split: str) -> list[str]:
    data = NYUv2Dataset(str(folder), split)
    return [data.get_data_info(i)["frame"] for i in range(len(data))]


@pytest.fixture
def folder(tmp_path) -> Path:
    """Lists like the official ones, without frames."""
    chosen = validation_names()
    others = sorted({f"{n:05d}" for n in range(1, 1450)} - set(chosen))
    train = sorted([*chosen, *others[: 795 - len(chosen)]])
    (tmp_path / "images").mkdir()
    (tmp_path / "train.txt").write_text("\n".join(train))
    (tmp_path / "test.txt").write_text("\n".join(sorted(set(others) - set(train))))
    return tmp_path


def test_the_parts_are_the_training_frames(folder):
    part, validation = names(folder, "train_part"), names(folder, "validation")
    assert (len(part), len(validation)) == (636, 159)
    assert sorted(part + validation) == names(folder, "trainval")
    assert not set(validation) & set(names(folder, "test"))
    assert "00010" in validation
    assert "00003" in part


def test_other_frames_are_refused(folder, rooms):
    with pytest.raises(DataError, match=r"has 16 frames.*official 795"):
        NYUv2Dataset(str(rooms), "validation")
    lines = (folder / "train.txt").read_text().split()
    lines[lines.index("00010")] = "09999"
    (folder / "train.txt").write_text("\n".join(lines))
    with pytest.raises(DataError, match="795 frames, of which 158 are among the 159"):
        NYUv2Dataset(str(folder), "train_part")


def test_a_scene_on_both_sides_is_refused(folder):
    train = names(folder, "trainval")
    scenes = {name: f"scene{name}" for name in train}
    text = "".join(f"{name} {scene}\n" for name, scene in scenes.items())
    (folder / "scenes.txt").write_text(text)
    assert len(names(folder, "validation")) == 159
    scenes["00010"] = scenes["00003"]
    text = "".join(f"{name} {scene}\n" for name, scene in scenes.items())
    (folder / "scenes.txt").write_text(text)
    with pytest.raises(DataError, match="'scene00003' in frames of"):
        NYUv2Dataset(str(folder), "train_part")


def test_selection_moves_every_loader_away_from_the_test_frames():
    config = load_config(
        CONFIGS / "nyud_joint_bireal_small.py", {"model_selection": True}
    )
    assert config.train_dataloader.dataset.split == "train_part"
    assert config.test_dataloader.dataset.split == "validation"
    assert not config.train_dataloader.dataset.get("val_fraction")
    usual = load_config(CONFIGS / "nyud_joint_bireal_small.py")
    assert usual.test_dataloader.dataset.split == "test"


def test_selection_is_refused_where_there_is_no_fixed_split():
    with pytest.raises(ConfigError, match="has no fixed validation split"):
        load_config(CONFIGS / "cifar10_resnet20_bireal.py", {"model_selection": True})
    with pytest.raises(ConfigError, match="True or False, got 'yes'"):
        load_config(CONFIGS / "nyud_seg_fp.py", {"model_selection": "yes"})


@pytest.mark.real_data
def test_the_shipped_runs_are_what_was_drawn(nyuv2):
    numbers = [int(name) for name in names(nyuv2, "trainval")]
    assert tuple(draw_validation(numbers)) == VALIDATION_RUNS
    assert len(runs_of(numbers)) == 123
    assert len(names(nyuv2, "validation")) == 159


@pytest.mark.real_data
@pytest.mark.full
def test_every_class_is_on_both_sides_and_with_no_earlier_seed(nyuv2):
    numbers = [int(name) for name in names(nyuv2, "trainval")]
    has = {number: classes_in(nyuv2, number) for number in numbers}
    fitting = []
    for seed in range(19):
        runs = draw_validation(numbers, seed)
        inside = {n for a, b in runs for n in range(a, b + 1)}
        frames = [sum(has[n] for n in inside), sum(has[n] for n in {*has} - inside)]
        if frames[0].min() >= 5 and frames[1].min() >= 10:
            fitting.append(seed)
    assert fitting == [18]


def classes_in(folder: Path, number: int) -> np.ndarray:
    """Which of the 40 classes stand in the labels of a frame."""
    path = folder / "labels40" / f"{number:05d}.png"
    labels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    return (np.bincount(labels.ravel(), minlength=41)[1:] > 0).astype(int)
