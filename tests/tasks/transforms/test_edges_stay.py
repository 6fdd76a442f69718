"""On every geometric path an edge lies at the same place in picture and maps."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.models import EncoderDecoder
from mmseg.structures import SegDataSample

from cmim.contrast.pairs import pick_labels
from tasks.transforms import AugmentFrame, LoadFolderFrame, LoadFrame

SHAPE = (120, 160)


def step(row: np.ndarray, level: float) -> float:
    """Place of a rising step; pixel i covers [i, i + 1]."""
    k = int(np.argmax(row >= level))
    a, b = float(row[k - 1]), float(row[k])
    return k - 0.5 + (level - a) / (b - a)


def edge_frame(c: int, axis: int, seed: int = 0) -> dict:
    """A step at pixel c along an axis (0 for rows), in every map."""
    labels = np.zeros(SHAPE, np.uint8)
    np.moveaxis(labels, axis, 0)[c:] = 1
    normals = np.zeros((*SHAPE, 3), np.float32)
    normals[..., 2] = np.where(labels == 1, -1, 0)
    normals[..., 0] = np.where(labels == 1, 0, 1)
    return dict(
        img=np.where(labels == 1, 220, 20).astype(np.uint8)[..., None].repeat(3, 2),
        gt_seg_map=labels,
        gt_depth_map=labels.astype(np.float32) * 4 + 2,
        gt_normal_map=normals,
        seed=[0, seed],
    )


def moved(out: dict, axis: int) -> dict[str, float]:
    """How far the step of each map is from that of the picture, in pixels."""

    def line(array):
        # Off the border of what is padded.
        return np.moveaxis(array, axis, 0)[:, 10].astype(float)

    labels = line(out["gt_seg_map"])
    known = labels != 255
    place = step(line(out["img"][..., 0])[known], 120)
    low = line(out["gt_depth_map"])[known]
    maps = dict(
        labels=labels[known],
        depth=low / low.max() > 0.5,
        normals=line(out["gt_normal_map"][..., 2])[known] < -0.5,
    )
    return {name: int(np.argmax(row >= 1)) - place for name, row in maps.items()}


def mean_moved(transform, axis: int, places) -> dict[str, float]:
    found = [
        moved(transform(edge_frame(int(c), axis, seed)), axis)
        for seed, c in enumerate(places)
    ]
    return {name: float(np.mean([f[name] for f in found])) for name in found[0]}


@pytest.mark.full
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(
    ("base", "scale"),
    [
        ((30, 40), (0.8, 1.25)),
        ((30, 40), (1.0, 1.0)),
        ((60, 80), (1.0, 1.0)),
        ((60, 80), (0.8, 1.6)),
        (120, (1.0, 1.0)),
        ((120, 160), (1.2, 2.0)),
    ],
)
def test_augmented_maps_lie_where_the_picture_is(base, scale, axis):
    transform = AugmentFrame(base, (250, 330), scale, flip=0.0, colour=0.0)
    # Of an exact factor whole periods, else a mean over many factors and places.
    exact = scale[0] == scale[1]
    places = range(48, 80) if exact else np.arange(200) % 40 + 48
    for name, shift in mean_moved(transform, axis, places).items():
        assert abs(shift) < 0.05, name


def test_a_crop_moves_all_maps_alike():
    transform = AugmentFrame(SHAPE, (75, 100), (1.0, 1.0), flip=0.0, colour=0.0)
    for c in range(75, 90):
        shifts = moved(transform(edge_frame(c, 1, seed=c)), 1)
        assert all(abs(s) < 1e-6 for s in shifts.values())


def test_a_flip_is_exact():
    transform = AugmentFrame(SHAPE, SHAPE, (1.0, 1.0), flip=1.0, colour=0.0)
    out = transform(edge_frame(101, 1))
    assert (out["gt_seg_map"] == (out["img"][..., 0] > 120)).all()
    assert out["gt_seg_map"][0].tolist() == [1] * (160 - 101) + [0] * 101


def write_frame(folder, c: int, axis: int) -> dict:
    frame = edge_frame(c, axis)
    paths = {k: str(folder / f"{k}.png") for k in ("img", "labels", "depth")}
    cv2.imwrite(paths["img"], frame["img"])
    cv2.imwrite(paths["labels"], frame["gt_seg_map"] + 1)
    millimetres = (frame["gt_depth_map"] * 1000).astype(np.uint16)
    cv2.imwrite(paths["depth"], millimetres)
    return dict(
        img_path=paths["img"], seg_map_path=paths["labels"], depth_path=paths["depth"]
    )


@pytest.mark.parametrize("axis", [0, 1])
def test_frames_read_at_half_their_size(axis, tmp_path):
    load = LoadFrame(reduce=2)
    found = []
    for c in range(48, 56):
        out = load(write_frame(tmp_path, c, axis))
        out["gt_normal_map"] = np.zeros((*out["gt_seg_map"].shape, 3))
        out["gt_normal_map"][..., 2] = -1.0 * (out["gt_seg_map"] == 1)
        found.append(moved(out, axis))
    for name in ("labels", "depth"):
        assert abs(np.mean([f[name] for f in found])) < 0.05


@pytest.mark.parametrize("shorter", [60, 30, 40, 48])
def test_frames_shrunk_while_reading(shorter):
    load = LoadFolderFrame(shrink_to=shorter)
    found = []
    for c in range(40, 100):
        frame = edge_frame(c, 1)
        del frame["seed"]
        found.append(moved(load._shrunk(frame), 1))
    for name in found[0]:
        assert abs(np.mean([f[name] for f in found])) < 0.05, name


def test_labels_of_anchors_lie_at_the_centres_of_feature_pixels():
    shifts = []
    for c in range(16, 80):
        labels = torch.zeros(1, 96, 96, dtype=torch.long)
        labels[..., c:] = 1
        row = pick_labels(labels, torch.arange(12)[None], 12, 12)
        shifts.append(int((row == 0).sum()) - c / 8)
    assert abs(np.mean(shifts)) < 0.05


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_predictions_are_enlarged_in_place(factor):
    """What the network gives for the blocks of pixels, at the pixels."""
    rows, columns = 24, 32
    size = (int(rows * factor), int(columns * factor))
    shifts = []
    for c in range(8, 24):
        logits = torch.zeros(1, 2, rows, columns)
        logits[:, 1, :, c:] = 1.0
        logits[:, 0, :, :c] = 1.0
        sample = SegDataSample(metainfo=dict(ori_shape=size, img_shape=(rows, columns)))
        model = EncoderDecoder.__new__(EncoderDecoder)
        torch.nn.Module.__init__(model)
        model.align_corners = False
        model.out_channels = 2
        (out,) = model.postprocess_result(logits, [sample])
        assert isinstance(out.pred_sem_seg, PixelData)
        row = out.pred_sem_seg.data[0, size[0] // 2]
        shifts.append(int((row == 0).sum()) - c * factor)
    assert abs(np.mean(shifts)) < 0.05
