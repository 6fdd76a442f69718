"""Maps looked up within a crop are those that are resized as a whole and then cut."""

from __future__ import annotations

import numpy as np
import pytest
from mmseg.datasets.transforms import PackSegInputs

from tasks.transforms import AugmentFrame
from tasks.transforms.zoom import Window, resize_map


def cut(array: np.ndarray, window: Window, fill: float) -> np.ndarray:
    """Resized, padded at its end, cropped, mirrored."""
    whole = resize_map(array, window.zoomed)
    height, width = window.size
    rows = max(0, height - whole.shape[0])
    columns = max(0, width - whole.shape[1])
    sides = [(0, rows), (0, columns), *[(0, 0)] * (whole.ndim - 2)]
    whole = np.pad(whole, sides, constant_values=fill)
    top, left = window.corner
    part = whole[top : top + height, left : left + width]
    return part[:, ::-1] if window.flip else part


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize(
    ("zoomed", "corner", "size"),
    [
        ((30, 40), (3, 5), (20, 16)),
        ((15, 22), (0, 0), (15, 22)),
        ((15, 22), (0, 2), (30, 20)),
        ((20, 11), (0, 0), (25, 32)),
        ((47, 71), (27, 51), (20, 20)),
    ],
)
def test_the_pixels_are_those_of_the_whole_map(zoomed, corner, size, flip):
    random = np.random.default_rng(0)
    window = Window(zoomed, corner, size, flip)
    for dtype, shape in (
        (np.uint8, (20, 30)),
        (np.float32, (20, 30)),
        (np.float32, (20, 30, 3)),
        (np.float64, (20, 30, 3)),
        (np.uint8, (20, 30, 1)),
        (np.int64, (20, 30)),
    ):
        array = random.integers(0, 200, shape).astype(dtype)
        found = window.of(array, fill=7)
        assert found.dtype == dtype
        assert found.flags.c_contiguous
        assert np.array_equal(found, cut(array, window, fill=7))


@pytest.mark.parametrize("bands", [1, 3, 4])
def test_pictures_are_in_the_order_of_tensors(bands):
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (48, 64, bands)).astype(np.uint8)
    augment = AugmentFrame((48, 64), (48, 64), (1.0, 1.0), flip=0.0, colour=0.0)
    found = augment(dict(img=image.copy(), seed=[0]))["img"]
    assert np.array_equal(found, image)
    assert found.transpose(2, 0, 1).flags.c_contiguous
    packed = PackSegInputs(meta_keys=())(dict(img=found))["inputs"]
    assert packed.is_contiguous()
    assert np.array_equal(packed.numpy(), image.transpose(2, 0, 1))
