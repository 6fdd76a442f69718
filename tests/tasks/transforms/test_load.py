"""Reading frames, and saying which file is wrong."""

import shutil

import cv2
import numpy as np
import pytest

from tasks.datasets.errors import DataError
from tasks.datasets.nyud import NYUv2Dataset
from tasks.transforms import LoadFrame
from tasks.transforms.zoom import halve_map


@pytest.fixture
def folder(rooms, tmp_path):
    return shutil.copytree(rooms, tmp_path / "copy")


def first(folder, **options) -> dict:
    data = NYUv2Dataset(str(folder), "train")
    return LoadFrame(**options)(data.get_data_info(0))


def test_frame_equals_the_files(folder):
    frame = first(folder)
    name = (folder / "train.txt").read_text().split()[0]
    image = cv2.imread(str(folder / "images" / f"{name}.png"))[..., ::-1]
    labels = cv2.imread(str(folder / "labels40" / f"{name}.png"), -1).astype(int)
    depth = cv2.imread(str(folder / "depth" / f"{name}.png"), -1)
    assert np.array_equal(frame["img"], image)
    assert np.array_equal(frame["gt_seg_map"], np.where(labels == 0, 255, labels - 1))
    assert frame["gt_depth_map"].dtype == np.float32
    assert np.allclose(frame["gt_depth_map"], depth / 1000, atol=1e-6)


@pytest.mark.full
def test_half_size_and_cache_agree(folder):
    loader = LoadFrame(reduce=2, cache=True)
    info = NYUv2Dataset(str(folder), "train").get_data_info(0)
    once, again = loader(dict(info)), loader(dict(info))
    full = first(folder)
    assert once["img"].shape == (24, 32, 3)
    for key in ("gt_seg_map", "gt_depth_map"):
        assert np.array_equal(once[key], halve_map(full[key]))
    for key in ("img", "gt_seg_map", "gt_depth_map"):
        assert np.array_equal(once[key], again[key])


def test_cache_is_not_changed_by_later_transforms(folder):
    loader = LoadFrame(cache=True)
    info = NYUv2Dataset(str(folder), "train").get_data_info(0)
    once = loader(dict(info))
    kept = {k: once[k].copy() for k in ("gt_seg_map", "gt_depth_map")}
    once["gt_seg_map"][:] = 7
    once["gt_depth_map"][:] = 7
    again = loader(dict(info))
    for key, value in kept.items():
        assert np.array_equal(again[key], value)


def test_parts_can_be_left_out(folder):
    shutil.rmtree(folder / "labels40")
    assert "gt_seg_map" not in first(folder, labels=False)
    shutil.rmtree(folder / "depth")
    assert "gt_depth_map" not in first(folder, labels=False, depth=False)


def damage(folder, part: str, how: str) -> None:
    name = (folder / "train.txt").read_text().split()[0]
    path = folder / part / f"{name}.png"
    array = cv2.imread(str(path), -1)
    if how == "missing":
        path.unlink()
    elif how == "torn":
        path.write_bytes(path.read_bytes()[:20])
    elif how == "small":
        cv2.imwrite(str(path), array[:-2])
    elif how == "type":
        cv2.imwrite(str(path), array.astype(np.uint8 if part == "depth" else np.uint16))
    elif how == "range":
        cv2.imwrite(str(path), np.full_like(array, 41))


@pytest.mark.parametrize(
    ("part", "how", "said"),
    [
        ("images", "missing", "does not exist"),
        ("images", "torn", "damaged"),
        ("labels40", "missing", "does not exist"),
        ("labels40", "torn", "damaged"),
        ("labels40", "small", "has shape"),
        ("labels40", "type", "expected a single channel of uint8"),
        ("labels40", "range", r"go up to 41, expected 0 \(void\) to 40"),
        ("depth", "small", "has shape"),
        ("depth", "type", "expected a single channel of uint16"),
    ],
)
def test_wrong_files_are_named(folder, part, how, said):
    damage(folder, part, how)
    with pytest.raises(DataError, match=said) as raised:
        first(folder)
    assert part in str(raised.value)
    assert ".png" in str(raised.value)
