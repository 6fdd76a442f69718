"""Frames of any sizes through loading, augmentation and evaluation."""

import cv2
import numpy as np
import pytest

from tasks.datasets.dense_folder import DenseFolderDataset
from tasks.datasets.errors import DataError
from tasks.predict import predict_image
from tasks.transforms import AugmentFrame, LoadFolderFrame, ResizeImage

SIZES = [(40, 60), (61, 30), (33, 33), (20, 90)]


@pytest.fixture
def folder(tmp_path):
    """Four columns of classes; depth is class + 1 metres, brightness 60 a class."""
    for number, (height, width) in enumerate(SIZES):
        labels = np.broadcast_to(np.arange(width) * 4 // width, (height, width))
        depth = ((labels + 1) * 1000).astype(np.uint16)
        image = np.stack([labels * 60] * 3, -1).astype(np.uint8)
        for name, array in (("i", image), ("l", labels.astype(np.uint8)), ("d", depth)):
            cv2.imwrite(str(tmp_path / f"{name}_{number}.png"), array)
    return tmp_path


def load(folder, *pipeline):
    return DenseFolderDataset(
        str(folder),
        images="i_{name}.png",
        labels="l_{name}.png",
        depth="d_{name}.png",
        depth_scale=0.001,
        metainfo=dict(classes=list("abcd")),
        pipeline=list(pipeline),
    )


def agree(out):
    labels = out["gt_seg_map"]
    known = labels < 255
    assert known.any()
    ratio = out["gt_depth_map"][known] / (labels[known] + 1.0)
    assert np.allclose(ratio, ratio[0], rtol=1e-5)
    assert (out["gt_depth_map"][~known] == 0).all()
    near = np.abs(out["img"][..., 0].astype(int) - labels * 60)[known] <= 3
    assert near.mean() > 0.7
    return 1 / ratio[0]


@pytest.mark.parametrize("shrink", [None, 24])
def test_any_size_and_aspect_gives_crops_of_one_size(folder, shrink):
    dataset = load(
        folder,
        LoadFolderFrame(shrink_to=shrink),
        AugmentFrame(20, (16, 24), scale=(0.8, 1.6), colour=0),
    )
    for index in range(4):
        out = dataset[index]
        assert out["img"].shape == (16, 24, 3)
        # The zoom is that of the shorter side, whatever the picture's size.
        assert 0.75 <= agree(out) <= 1.7


@pytest.mark.full
def test_one_number_is_the_shorter_side(folder):
    """As a pair with the frame's aspect, to the last bit."""
    options = dict(crop_size=(16, 24), scale=(0.8, 1.6))
    for index, pair in ((0, (20, 30)), (2, (20, 20)), (3, (20, 90))):
        out, other = (
            load(folder, LoadFolderFrame(), AugmentFrame(base, **options))[index]
            for base in (20, pair)
        )
        assert np.array_equal(out["img"], other["img"])
        assert np.array_equal(out["gt_depth_map"], other["gt_depth_map"])


@pytest.mark.full
def test_shrinking_keeps_maps_aligned_and_metres(folder):
    for index, size in enumerate(SIZES):
        out = load(folder, LoadFolderFrame(shrink_to=16))[index]
        factor = 16 / min(size)
        assert out["img"].shape[:2] == tuple(round(side * factor) for side in size)
        assert out["img_shape"] == out["gt_seg_map"].shape == out["gt_depth_map"].shape
        assert agree(out) == pytest.approx(1)
        # Columns keep their shares: nothing is shifted.
        counts = np.bincount(out["gt_seg_map"][0], minlength=4)
        assert counts.max() - counts.min() <= 1


def test_small_frames_are_not_enlarged(folder):
    assert load(folder, LoadFolderFrame(shrink_to=50))[0]["img"].shape == (40, 60, 3)
    with pytest.raises(ValueError, match="at least 1 pixel"):
        LoadFolderFrame(shrink_to=0)


def test_evaluation_leaves_the_truth_alone(folder):
    out = load(folder, LoadFolderFrame(), ResizeImage(shorter=20))[1]
    assert out["img"].shape == (41, 20, 3)
    assert out["ori_shape"] == out["gt_seg_map"].shape == SIZES[1]
    assert out["img_shape"] == (41, 20)


@pytest.mark.parametrize("options", [{}, dict(size=(4, 4), shorter=4)])
def test_resizing_needs_one_size(options):
    with pytest.raises(ValueError, match=r"size=\(H, W\) or shorter=PIXELS"):
        ResizeImage(**options)


def test_cached_frames_are_the_same_and_read_once(folder):
    dataset = load(folder, LoadFolderFrame(cache=True), AugmentFrame(20, (16, 24)))
    first = dataset[(0, 1, 2)]
    for path in folder.glob("*_0.png"):
        path.unlink()
    again = dataset[(0, 1, 2)]
    assert np.array_equal(first["img"], again["img"])
    assert np.array_equal(first["gt_seg_map"], again["gt_seg_map"])


def test_a_bad_frame_is_said_when_it_is_read(folder):
    dataset = load(folder, LoadFolderFrame())
    cv2.imwrite(str(folder / "l_1.png"), np.full(SIZES[1], 9, np.uint8))
    with pytest.raises(DataError, match=r"l_1.png': has the values 9"):
        dataset[1]


def test_prediction_scales_the_shorter_side(folder):
    class Sees:
        def test_step(self, batch):
            self.shape = tuple(batch["inputs"][0].shape)
            return batch["data_samples"]

    model = Sees()
    for size, seen in ((15, (30, 15)), ((15, 20), (15, 7)), (None, (61, 30))):
        sample = predict_image(model, folder / "i_1.png", size)
        assert model.shape == (3, *seen)
        assert sample.ori_shape == SIZES[1]
