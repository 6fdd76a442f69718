"""Packing a frame with everything that is known about it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from mmengine.structures import PixelData
from mmseg.datasets.transforms import PackSegInputs
from mmseg.registry import TRANSFORMS

from cmim.task import known_tasks

META_KEYS = ("img_path", "ori_shape", "img_shape", "sample_idx")


@TRANSFORMS.register_module()
class PackFrame(PackSegInputs):
    """mmseg's packing of labels, depth and edges, and of every other task's truth.

    Adds for example ``gt_normal_map`` ``(3, H, W)`` and ``gt_label`` (a plain int),
    where the frame has them. What it lacks stays absent: tasks without ground truth
    learn nothing from the sample.

    Args:
        meta_keys: What else of the frame the sample keeps.

    Examples:
        >>> frame = dict(img=np.zeros((2, 4, 3), np.uint8), gt_label=7,
        ...              gt_normal_map=np.zeros((2, 4, 3), np.float32))
        >>> sample = PackFrame()(frame)["data_samples"]
        >>> sample.gt_normal_map.data.shape, sample.gt_label
        (torch.Size([3, 2, 4]), 7)
    """

    def __init__(self, meta_keys: Sequence[str] = META_KEYS) -> None:
        super().__init__(meta_keys=tuple(meta_keys))

    def transform(self, results: dict) -> dict:
        packed = super().transform(results)
        sample = packed["data_samples"]
        for task in known_tasks().values():
            if task.truth not in results or task.truth in sample:
                continue
            truth = results[task.truth]
            if task.channels:
                planes = np.atleast_3d(truth).transpose(2, 0, 1)
                data = torch.from_numpy(np.ascontiguousarray(planes)).to(task.dtype)
                truth = PixelData(data=data)
            sample.set_data({task.truth: truth})
        return packed
