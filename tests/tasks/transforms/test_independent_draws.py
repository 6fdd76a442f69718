"""What is drawn of a frame does not follow from another draw."""

from __future__ import annotations

import numpy as np

from tasks.transforms import AugmentFrame, RandomResizedCropFlip

COUNT = 300
# Of independent draws a correlation is beyond this once in 10^6 times.
MOST = 0.3


def test_zoom_place_flip_and_colour_of_a_frame():
    """Labels hold their rows or columns, the depth tells the zoom."""
    rows, columns = np.mgrid[0:96, 0:128].astype(np.float32)
    augment = AugmentFrame((96, 128), (32, 32), scale=(0.8, 1.6), colour=0)
    drawn = []
    for seed in range(COUNT):
        frame = dict(
            img=np.zeros((96, 128, 3), np.uint8),
            gt_depth_map=np.ones((96, 128), np.float32),
            gt_seg_map=rows.astype(np.uint8),
            seed=[seed, 0, 0],
        )
        mirrored = dict(frame, gt_seg_map=columns.astype(np.uint8))
        found, across = augment(frame), augment(mirrored)
        zoom = 1 / float(found["gt_depth_map"][0, 0])
        height, width = int(96 * zoom) - 32, int(128 * zoom) - 32
        top = float(found["gt_seg_map"][0, 0]) * zoom / height
        ends = across["gt_seg_map"][0, [0, -1]].astype(float)
        left = ends.min() * zoom / width
        drawn.append([zoom, top, left, float(ends[0] > ends[1])])
    correlations = np.corrcoef(np.array(drawn).T)[np.triu_indices(4, k=1)]
    assert np.abs(correlations).max() < MOST
    assert 0.4 < np.mean([row[3] for row in drawn]) < 0.6


def test_brightness_does_not_follow_from_the_zoom():
    augment = AugmentFrame((24, 32), (16, 16), scale=(0.8, 1.6), flip=0.5)
    drawn = []
    for seed in range(COUNT):
        frame = dict(
            img=np.full((24, 32, 3), 100, np.uint8),
            gt_depth_map=np.ones((24, 32), np.float32),
            seed=[seed, 0, 0],
        )
        found = augment(frame)
        depth, level = found["gt_depth_map"][0, 0], found["img"][0, 0, 0]
        drawn.append([1 / float(depth), float(level)])
    assert abs(np.corrcoef(np.array(drawn).T)[0, 1]) < MOST


def test_area_and_flip_of_a_picture():
    columns = np.arange(64, dtype=np.uint8)[None, :, None].repeat(64, 0).repeat(3, 2)
    transform = RandomResizedCropFlip((32, 32), ratio=(1.0, 1.0))
    drawn = []
    for seed in range(COUNT):
        found = transform(dict(img=columns, seed=[seed]))["img"].astype(float)
        ends = found[0, [0, -1], 0]
        drawn.append([abs(ends[0] - ends[1]), float(ends[0] > ends[1])])
    assert abs(np.corrcoef(np.array(drawn).T)[0, 1]) < MOST
