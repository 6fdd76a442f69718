"""Kinds of ground truth that are not supported say so, and what to do instead."""

import numpy as np
import pytest
from folder_cases import DEPTH, SEG, build, plain, write
from mmengine.config import Config

from tasks.datasets.errors import DataError
from tasks.datasets.survey import as_text, survey_config


@pytest.mark.parametrize("suffix", ["json", "xml", "txt", "npy", "mat"])
def test_a_pattern_of_what_is_no_picture_is_refused(tmp_path, suffix):
    with pytest.raises(ValueError, match="are not supported"):
        build(tmp_path, {**SEG, "labels": f"labels/{{split}}/{{name}}.{suffix}"})


@pytest.mark.parametrize("place", ["annotations.json", "labels/train/0.npy"])
def test_where_labels_are_no_pictures_it_is_said_that_this_is_not_supported(
    tmp_path, place
):
    """The pattern of the tutorial, and polygons or arrays in place of its files."""
    plain(tmp_path, 1)
    (tmp_path / "labels/train/0.png").unlink()
    (tmp_path / "labels/train").rmdir()
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / place).touch()
    with pytest.raises(DataError, match=r"Polygons.*arrays \(\.npy.*not supported"):
        build(tmp_path)


def test_instance_ids_are_refused_with_the_way_to_name_them(tmp_path):
    plain(tmp_path, 1)
    write(tmp_path / "labels/train/0.png", np.full((4, 6), 1000, np.uint16))
    with pytest.raises(DataError, match=r"values 1000.*range\(1000, 2000\)"):
        build(tmp_path)


@pytest.mark.full
def test_depth_beyond_the_evaluator_is_said(tmp_path):
    """Depth in 1/256 m of 10 to 40 m, and the evaluator's 10 m of indoor scenes."""
    for number in range(3):
        write(tmp_path / f"images/val/{number}.jpg", np.full((4, 6, 3), number, "u1"))
        depth = np.resize(np.array([2560, 10240, 0], np.uint16), (4, 6))
        write(tmp_path / f"depth/val/{number}.png", depth)
    dataset = dict(type="DenseFolderDataset", data_root=str(tmp_path), split="val")
    dataset |= dict(depth_scale=1 / 256, **DEPTH)
    head = dict(type="CMIMDepthHead", depth_range=(0.5, 80))
    config = dict(
        model=dict(decode_head=head),
        test_dataloader=dict(dataset=dataset),
        test_evaluator=dict(type="CMIMDepthMetric"),
    )
    text = as_text("test", survey_config(Config(config))["test"])
    assert "note: the evaluator takes depth of 0.1 to 10 m, the data go from 10" in text
    config["test_evaluator"]["depth_range"] = (0.5, 80)
    assert "note" not in survey_config(Config(config))["test"]
