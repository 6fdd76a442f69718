"""Crops and flips of pictures against plain indexing."""

import cv2
import numpy as np
import pytest

from tasks.transforms import (
    LoadImage,
    PackImage,
    RandomCropFlip,
    RandomResizedCropFlip,
    ResizeCenterCrop,
)


@pytest.fixture
def picture() -> np.ndarray:
    """6x5 pixels, no two alike and none black."""
    return np.arange(1, 91, dtype=np.uint8).reshape(6, 5, 3)


def test_random_crops_are_the_windows_of_the_padded_picture(picture):
    padded = np.zeros((10, 9, 3), np.uint8)
    padded[2:8, 2:7] = picture
    windows = {}
    for top in range(5):
        for left in range(5):
            window = padded[top : top + 6, left : left + 5]
            windows[window.tobytes()] = (top, left, False)
            windows[window[:, ::-1].tobytes()] = (top, left, True)
    transform = RandomCropFlip((6, 5), padding=2)
    drawn = []
    for index in range(2000):
        out = transform(dict(img=picture, seed=[0, 1, index]))["img"]
        drawn.append(windows[np.ascontiguousarray(out).tobytes()])
    # All 50 outcomes, each near its 40 of 2000 draws.
    counts = [drawn.count(outcome) for outcome in set(windows.values())]
    assert len(counts) == 50
    assert min(counts) > 15
    assert max(counts) < 75


def test_the_loaded_picture_is_not_changed(picture):
    before = picture.copy()
    for index in range(10):
        RandomCropFlip((6, 5))(dict(img=picture, seed=[index]))
    assert (picture == before).all()


@pytest.mark.parametrize(("flip", "expected"), [(0, False), (1, True)])
def test_flip_is_a_probability(picture, flip, expected):
    transform = RandomCropFlip((6, 5), padding=0, flip=flip)
    wanted = picture[:, ::-1] if expected else picture
    for index in range(20):
        assert (transform(dict(img=picture, seed=[index]))["img"] == wanted).all()


def test_wrong_sizes_are_said(picture):
    with pytest.raises(ValueError, match="crop_size must be positive"):
        RandomCropFlip((0, 4))
    with pytest.raises(ValueError, match="not negative"):
        RandomCropFlip((4, 4), padding=-1)
    with pytest.raises(ValueError, match=r"'a\.png' has 6x5 pixels, too few"):
        RandomCropFlip((16, 5))(dict(img=picture, seed=[0], img_path="a.png"))
    with pytest.raises(ValueError, match="larger side, got 31"):
        ResizeCenterCrop((32, 32), shorter=31)


def test_resized_crops_depend_on_the_seed_alone():
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (60, 80, 3)).astype(np.uint8)
    transform = RandomResizedCropFlip((32, 24), colour=0.2)

    def run(*seed: int) -> np.ndarray:
        return transform(dict(img=image, seed=list(seed)))["img"]

    first = run(0, 3, 5)
    assert first.shape == (32, 24, 3)
    assert first.dtype == np.uint8
    assert not (run(0, 4, 5) == first).all()
    assert (run(0, 3, 5) == first).all()


def test_hue_turns_colours_and_leaves_grey():
    options = dict(scale=(1, 1), ratio=(1, 1), flip=0, hue=0.5)
    transform = RandomResizedCropFlip((8, 8), **options)
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 0] = 200
    grey = np.full((8, 8, 3), 90, np.uint8)
    turned = [transform(dict(img=red, seed=[k]))["img"] for k in range(20)]
    assert len({tuple(out[0, 0].tolist()) for out in turned}) > 5
    assert (transform(dict(img=grey, seed=[1]))["img"] == grey).all()
    with pytest.raises(ValueError, match=r"hue must be in \[0, 0\.5\], got 0\.6"):
        RandomResizedCropFlip((8, 8), hue=0.6)


def test_a_picture_that_is_there_is_not_loaded(picture):
    sample = dict(img=picture, img_path="nowhere[3]", ori_shape=(6, 5))
    assert LoadImage(cache=True)(sample)["img"] is picture


def test_whole_area_without_flip_is_a_resize():
    image = np.random.default_rng(0).integers(0, 256, (40, 40, 3)).astype(np.uint8)
    transform = RandomResizedCropFlip((40, 40), scale=(1, 1), ratio=(1, 1), flip=0)
    assert (transform(dict(img=image, seed=[1]))["img"] == image).all()


def test_center_crop(picture):
    same = ResizeCenterCrop((6, 5), shorter=6)
    assert same(dict(img=picture))["img"].shape == (6, 5, 3)
    middle = ResizeCenterCrop((2, 3), shorter=5)(dict(img=picture))["img"]
    assert (middle == picture[2:4, 1:4]).all()
    untouched = ResizeCenterCrop((5, 5), shorter=5)(dict(img=picture[:5]))["img"]
    assert (untouched == picture[:5]).all()
    for shape in ((50, 31), (31, 50), (7, 7), (1, 900)):
        image = np.full((*shape, 3), 9, np.uint8)
        out = ResizeCenterCrop((8, 8), shorter=9)(dict(img=image))["img"]
        assert out.shape == (8, 8, 3)
        assert (out == 9).all()


def test_load_is_rgb_and_cached(tmp_path):
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.full((4, 6, 3), (10, 20, 30), np.uint8))
    load = LoadImage(cache=True)
    first = load(dict(img_path=str(path)))
    assert first["img"][0, 0].tolist() == [30, 20, 10]
    assert first["ori_shape"] == (4, 6)
    path.unlink()
    assert load(dict(img_path=str(path)))["img"] is first["img"]
    with pytest.raises(ValueError, match=r"a\.png"):
        LoadImage()(dict(img_path=str(path)))


def test_packed_sample_holds_what_models_take(picture):
    # A flipped view, as the crop leaves it.
    view = picture[:, ::-1]
    packed = PackImage()(dict(img=view, gt_label=3, img_path="a.png", sample_idx=0))
    assert packed["inputs"].shape == (3, 6, 5)
    assert packed["inputs"].is_contiguous()
    expected = picture[:, ::-1].transpose(2, 0, 1)
    assert (packed["inputs"].numpy() == expected).all()
    sample = packed["data_samples"]
    assert (sample.gt_label, sample.img_path, sample.sample_idx) == (3, "a.png", 0)
    assert "gt_label" not in PackImage()(dict(img=picture))["data_samples"]
