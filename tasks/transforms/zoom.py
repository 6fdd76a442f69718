"""Resizing a frame so that an edge lies at the same place in all of its maps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
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


@dataclass(frozen=True)
class Window:
    """What a zoom, a crop and a flip leave of a frame's maps.

    Only the pixels that stay are looked at: a map is not resized as a whole.

    Args:
        zoomed: ``(height, width)`` that the frame is resized to.
        corner: Row and column of the crop's first pixel in the resized frame.
        size: ``(height, width)`` of the crop, which may go beyond the frame's end.
        flip: Whether left and right are exchanged then.

    Examples:
        >>> window = Window((2, 4), (0, 1), (2, 4), flip=True)
        >>> window.of(np.array([[1, 1, 2, 2, 3, 3, 4, 4]] * 4), fill=9).tolist()
        [[9, 4, 3, 2], [9, 4, 3, 2]]
    """

    zoomed: tuple[int, int]
    corner: tuple[int, int]
    size: tuple[int, int]
    flip: bool

    def of(self, array: np.ndarray, fill: float) -> np.ndarray:
        """The window of a map, by the pixels at its pixels' centres.

        Args:
            array: ``(H, W)`` or ``(H, W, C)``, any dtype.
            fill: Value beyond the frame's end.

        Returns:
            ``(*size)`` or ``(*size, C)``, contiguous.
        """
        rows, columns = (
            _centres(source, target)[begin : begin + length]
            for source, target, begin, length in zip(
                array.shape, self.zoomed, self.corner, self.size, strict=False
            )
        )
        if self.flip:
            columns = columns[::-1]
        found = _take_columns(np.take(array, rows, axis=0), columns)
        if found.shape[:2] == self.size:
            return found
        full = np.full((*self.size, *array.shape[2:]), fill, array.dtype)
        first = self.size[1] - len(columns) if self.flip else 0
        full[: len(rows), first : first + len(columns)] = found
        return full


def _take_columns(array: np.ndarray, columns: np.ndarray) -> np.ndarray:
    plain = array.ndim == 2 or array.shape[2] == 3
    if not plain or array.dtype not in (np.uint8, np.float32):
        return np.take(array, columns, axis=1)
    # Whole rows of the transposed map are copied much faster than single pixels.
    return cv2.transpose(np.take(cv2.transpose(array), columns, axis=0))


@lru_cache(maxsize=4096)
def _centres(source: int, target: int) -> np.ndarray:
    return nearest_centres(source, target).numpy()
