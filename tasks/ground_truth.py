"""Ground truth that a sample may lack, as data sets may know different things."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def truth_or_unknown(
    sample: Any, name: str, pred: Tensor, unknown: int, dtype: torch.dtype | None = None
) -> Tensor:
    """Ground truth of a sample; one that says nothing where it has none.

    Metrics then count such a picture as one whose pixels are all unknown, also where
    several processes have different numbers of them.

    Args:
        sample: A data sample, or a dictionary of one.
        name: Of the ground truth.
        pred: The prediction, for shape and device.
        unknown: Value of pixels that say nothing.
        dtype: Of what says nothing; the prediction's when None.

    Examples:
        >>> truth_or_unknown({}, "gt_sem_seg", torch.zeros(1, 1, 2), 255).tolist()
        [[[255.0, 255.0]]]
    """
    if name in sample:
        return sample[name]["data"]
    return torch.full_like(pred, unknown, dtype=dtype)
