"""Read one RGB-D frame from disk."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from tasks.datasets.errors import DataError
from tasks.picture_decoder import decode
from tasks.transforms.zoom import halve_map
from tasks.whole_file import read_whole

# One thread per process: loader workers are the parallelism, and OpenCV's own pool
# deadlocks after fork.
cv2.setNumThreads(0)


@TRANSFORMS.register_module()
class LoadFrame(BaseTransform):
    """Load image, labels and depth of a frame, checked.

    Adds ``img`` ``(H, W, 3)`` uint8 RGB; ``gt_seg_map`` ``(H, W)`` uint8 with classes
    0 to 39 and 255 for void; ``gt_depth_map`` ``(H, W)`` float32 metres, 0 unknown.

    Args:
        labels: Read the labels.
        depth: Read the depth.
        reduce: 1, or 2 to halve everything while reading (nearest neighbour for labels
            and depth); several times faster for training on small crops.
        cache: Keep decoded frames in the memory of each loader process.
        num_classes: Largest label id on disk.
        depth_unit: Metres per unit of the depth files.

    Raises:
        DataError: A file is missing, cannot be decoded, or has another shape, type or
            labels out of range; the message names it.
    """

    def __init__(
        self,
        labels: bool = True,
        depth: bool = True,
        reduce: int = 1,
        cache: bool = False,
        num_classes: int = 40,
        depth_unit: float = 0.001,
    ) -> None:
        if reduce not in (1, 2):
            raise ValueError(f"reduce must be 1 or 2, got {reduce}")
        self.labels = labels
        self.depth = depth
        self.reduce = reduce
        self.num_classes = num_classes
        self.depth_unit = depth_unit
        self._cache: dict[str, dict] | None = {} if cache else None

    def transform(self, results: dict) -> dict:
        key = results["img_path"]
        arrays = self._cache.get(key) if self._cache is not None else None
        if arrays is None:
            arrays = self._read(results)
            if self._cache is not None:
                self._cache[key] = arrays
        results["img"] = arrays["img"]
        results["img_shape"] = results["ori_shape"] = arrays["img"].shape[:2]
        if self.labels:
            # 0 (void) wraps to 255, class k to k - 1.
            results["gt_seg_map"] = arrays["labels"] - np.uint8(1)
        if self.depth:
            metres = arrays["depth"].astype(np.float32)
            results["gt_depth_map"] = metres * np.float32(self.depth_unit)
        return results

    def _read(self, results: dict) -> dict[str, np.ndarray]:
        flag = cv2.IMREAD_REDUCED_COLOR_2 if self.reduce == 2 else cv2.IMREAD_COLOR
        image = _decode(results["img_path"], flag)
        _check_bits(results["img_path"], 8)
        arrays = {"img": cv2.cvtColor(image, cv2.COLOR_BGR2RGB)}
        if self.labels:
            labels = self._read_map(results["seg_map_path"], image, np.uint8, "uint8")
            if labels.max() > self.num_classes:
                raise DataError(
                    f"labels '{results['seg_map_path']}' go up to {labels.max()}, "
                    f"expected 0 (void) to {self.num_classes}; prepare the data again"
                )
            arrays["labels"] = labels
        if self.depth:
            arrays["depth"] = self._read_map(
                results["depth_path"], image, np.uint16, "uint16"
            )
        return arrays

    def _read_map(
        self, path: str, image: np.ndarray, dtype: type, name: str
    ) -> np.ndarray:
        array = _decode(path, cv2.IMREAD_UNCHANGED)
        if array.dtype != dtype or array.ndim != 2:
            raise DataError(
                f"'{path}' is {array.dtype} of shape {array.shape}, expected a single "
                f"channel of {name}; prepare the data again"
            )
        _check_bits(path, 8 * array.itemsize)
        if self.reduce == 2:
            array = halve_map(array)
        if array.shape != image.shape[:2]:
            raise DataError(
                f"'{path}' has shape {array.shape}, its image {image.shape[:2]}; "
                "both must agree, prepare the data again"
            )
        return np.ascontiguousarray(array)


def _decode(path: str, flag: int) -> np.ndarray:
    if not Path(path).is_file():
        raise DataError(
            f"'{path}' does not exist; the data set is incomplete, prepare it again"
        )
    return decode(read_whole(path), path, flag)


def _check_bits(path: str, bits: int) -> None:
    """OpenCV spreads few bits over 0 to 255, and cuts a picture of 16 bits to 8."""
    with open(path, "rb") as file:
        head = file.read(25)
    if head.startswith(b"\x89PNG") and len(head) == 25 and head[24] != bits:
        raise DataError(
            f"'{path}' has {head[24]} bits a channel, expected {bits}; prepare the "
            "data again"
        )
