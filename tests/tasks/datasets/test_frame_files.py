"""Depth files of many kinds, and frames whose parts fit."""

import numpy as np
import pytest
from folder_cases import DEPTH, build, plain, write
from PIL import ExifTags, Image

from tasks.datasets.errors import DataError
from tasks.datasets.frame_files import read_depth, read_frame
from tasks.pictures import read_image
from tasks.whole_file import check_whole


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


@pytest.mark.full
def test_values_that_say_unknown(tmp_path):
    plain(tmp_path)
    stored = np.full((4, 6), 2000, np.uint16)
    stored[0, :2] = 65535, 0
    write(tmp_path / "depth/train/0.png", stored)
    described = dict(depth_scale=0.001, depth_void_values=[65535])
    read = read_frame(build(tmp_path, DEPTH, **described)[0])["gt_depth_map"]
    assert read[0, :3].tolist() == [0, 0, 2]
    described["depth_void_values"] = []
    plainly = read_frame(build(tmp_path, DEPTH, **described)[0])["gt_depth_map"]
    assert plainly[0, 0] == np.float32(65.535)

    np.save(tmp_path / "a.npy", np.array([[-1.0, 3.0]]))
    assert read_depth(tmp_path / "a.npy", 1.0, void=[-1]).tolist() == [[0, 3]]


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
        (np.ones((4, 6, 1)), r"shape \(4, 6, 1\), expected one channel .* \(H, W\)"),
        (np.array([["a"]]), "one channel of numbers"),
        (np.array([[{}]]), "cannot be read"),
    ],
)
def test_wrong_arrays_are_said(tmp_path, array, said):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(DataError, match=said):
        read_depth(tmp_path / "a.npy", 1.0)


def test_arrays_may_have_a_suffix_in_capitals_and_no_other_kind(tmp_path):
    with open(tmp_path / "a.NPY", "wb") as file:
        np.save(file, np.array([[2.0]]))
    assert read_depth(tmp_path / "a.NPY", 1.0).tolist() == [[2.0]]
    with open(tmp_path / "b.npy", "wb") as file:
        np.savez(file, depth=np.array([[2.0]]))
    with pytest.raises(DataError, match=r"b.npy' cannot be read"):
        read_depth(tmp_path / "b.npy", 1.0)
    (tmp_path / "b.npy").rename(tmp_path / "b.npz")
    with pytest.raises(DataError, match=r"b.npz' cannot be decoded.* and .npy"):
        read_depth(tmp_path / "b.npz", 1.0)


def photograph(path, shape, orientation):
    picture = Image.fromarray(np.full((*shape, 3), 90, np.uint8))
    exif = picture.getexif()
    exif[ExifTags.Base.Orientation] = orientation
    picture.save(path, exif=exif)


@pytest.mark.parametrize(
    ("shape", "orientation", "said"),
    [
        ((4, 6), 1, None),
        # A quarter turn makes the picture 4x6, like its labels.
        ((6, 4), 6, None),
        ((4, 6), 6, r"both must agree\. The picture is turned .*orientation 6"),
        # Half a turn keeps the size: were the labels drawn on it turned, or not?
        ((4, 6), 3, "its size does not tell"),
    ],
)
def test_turned_photographs_are_read_with_certainty_or_refused(
    tmp_path, shape, orientation, said
):
    plain(tmp_path)
    photograph(tmp_path / "images/train/0.jpg", shape, orientation)
    if said is None:
        assert len(build(tmp_path)) == 3
        return
    with pytest.raises(DataError, match=said):
        build(tmp_path)


def test_pictures_that_end_too_early_are_found(tmp_path):
    path = tmp_path / "a.jpg"
    write(path, np.random.default_rng(0).integers(0, 255, (90, 90, 3), np.uint8))
    check_whole(path)
    path.write_bytes(path.read_bytes()[:3000])
    # OpenCV alone would make the missing part grey.
    for read in (check_whole, read_image):
        with pytest.raises(DataError, match=r"a.jpg' is damaged .*its end is missing"):
            read(path)
