"""Resizing a frame so that an edge lies at the same place in all of its maps."""

from __future__ import annotations

from typing import Any

import albumentations as A
import numpy as np

from cmim.functional.nearest import nearest_centres


def resize_map(array: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Labels, depth or normals of another size, by the pixels at its pixels' centres.

    Args:
        array: ``(H, W)`` or ``(H, W, C)``, any dtype.
        size: ``(height, width)`` wanted.

    Returns:
        ``(height, width)`` or ``(height, width, C)``, contiguous.

    Examples:
        >>> resize_map(np.array([[1, 1, 2, 2]]), (1, 2)).tolist()
        [[1, 2]]
    """
    if array.shape[:2] == tuple(size):
        return np.ascontiguousarray(array)
    rows = nearest_centres(array.shape[0], size[0]).numpy()
    columns = nearest_centres(array.shape[1], size[1]).numpy()
    return np.take(np.take(array, rows, axis=0), columns, axis=1)


def halve_map(array: np.ndarray) -> np.ndarray:
    """The map of a picture that is read at half its size, 2x2 pixels as one.

    Args:
        array: ``(H, W)``; of an odd size the last pixel stands alone.

    Examples:
        >>> halve_map(np.array([[1, 2, 3, 4, 5]])).tolist()
        [[1, 4, 5]]
    """
    for axis, size in enumerate(array.shape[:2]):
        half = (size + 1) // 2
        index = nearest_centres(2 * half, half).clamp_(max=size - 1)
        array = np.take(array, index.numpy(), axis=axis)
    return array


class ZoomFrame(A.RandomScale):
    """``RandomScale`` whose maps stay where the picture is.

    albumentations resamples masks by OpenCV's ``INTER_NEAREST``, which moves them by
    half a pixel.
    """

    def apply_to_mask(
        self, mask: np.ndarray, scale: float, **params: Any
    ) -> np.ndarray:
        # The size that RandomScale gives the picture.
        height, width = mask.shape[:2]
        return resize_map(mask, (int(height * scale), int(width * scale)))
