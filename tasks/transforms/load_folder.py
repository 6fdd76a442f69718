"""Load a frame of a data set that a config describes."""

from __future__ import annotations

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from tasks.datasets.frame_files import read_frame
from tasks.transforms.augment import fit_shorter
from tasks.transforms.zoom import resize_map


@TRANSFORMS.register_module()
class LoadFolderFrame(BaseTransform):
    """Load what a frame of ``DenseFolderDataset`` has: picture, labels, depth.

    Adds ``img`` ``(H, W, 3)`` uint8 RGB; ``gt_seg_map`` ``(H, W)`` uint8, 255 for void;
    ``gt_depth_map`` ``(H, W)`` float32 metres, 0 unknown.

    Args:
        shrink_to: Pixels of the shorter side that larger frames are shrunk to while
            reading (labels and depth by the pixels at the centres of the new ones), for
            training: large photographs then cost little memory and time. Never for
            evaluation.
        cache: Keep frames in the memory of each loader process. A frame of 240x320
            takes 0.3 MB with labels, 0.6 MB with depth.

    Raises:
        DataError: A file is missing or is not what the description says.
    """

    def __init__(self, shrink_to: int | None = None, cache: bool = False) -> None:
        if shrink_to is not None and shrink_to < 1:
            raise ValueError(f"shrink_to must be at least 1 pixel, got {shrink_to}")
        self.shrink_to = shrink_to
        self._cache: dict[str, dict] | None = {} if cache else None

    def transform(self, results: dict) -> dict:
        key = results["img_path"]
        frame = self._cache.get(key) if self._cache is not None else None
        if frame is None:
            frame = self._shrunk(read_frame(results))
            if self._cache is not None:
                self._cache[key] = frame
        results.update(frame)
        results["img_shape"] = results["ori_shape"] = frame["img"].shape[:2]
        return results

    def _shrunk(self, frame: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        shape = frame["img"].shape[:2]
        if self.shrink_to is None or min(shape) <= self.shrink_to:
            return frame
        height, width = fit_shorter(shape, self.shrink_to)
        return {
            key: cv2.resize(array, (width, height), interpolation=cv2.INTER_AREA)
            if key == "img"
            else resize_map(array, (height, width))
            for key, array in frame.items()
        }
