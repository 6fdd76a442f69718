"""Depth files of many kinds, and frames whose parts fit."""

import numpy as np
import pytest
from folder_cases import DEPTH, build, plain, write

from tasks.datasets.errors import DataError
from tasks.datasets.frame_files import read_depth


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.full((4, 6), 9, np.uint8), "256 steps are a picture of depth"),
        (np.full((4, 6, 3), 900, np.uint16), "a coloured picture of depth"),
        (np.full((4, 6), 3, np.uint16), "is 0.003 to 0.003 metres with depth_scale"),
        (np.full((4, 5), 900, np.uint16), "has 4x5 pixels"),
    ],
)
def test_wrong_depth_is_said(tmp_path, array, said):
    plain(tmp_path)
    write(tmp_path / "depth/train/1.png", array)
    with pytest.raises(DataError, match=said):
        build(tmp_path, DEPTH, depth_scale=0.001)


def test_wrong_scale_is_said(tmp_path):
    plain(tmp_path)
    with pytest.raises(
        DataError, match=r"1.5e\+03 to 2.5e\+03 metres with depth_scale"
    ):
        build(tmp_path, DEPTH, depth_scale=1.0)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_depth_in_metres_may_be_an_array(tmp_path, dtype):
    stored = np.array([[1.5, np.nan, np.inf, 0, 4]], dtype)
    np.save(tmp_path / "a.npy", stored)
    assert read_depth(tmp_path / "a.npy", 1.0).tolist() == [[1.5, 0, 0, 0, 4]]


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.array([[1.0, -2.0]]), "negative at 1 pixels"),
        (np.array([1.0, 2.0]), "of shape"),
        (np.array([["a"]]), "one channel of numbers"),
        (np.array([[{}]]), "cannot be read"),
    ],
)
def test_wrong_arrays_are_said(tmp_path, array, said):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(DataError, match=said):
        read_depth(tmp_path / "a.npy", 1.0)
