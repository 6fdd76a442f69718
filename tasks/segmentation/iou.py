"""Intersection over union, of sums over any images."""

from __future__ import annotations

import torch
from torch import Tensor


def class_iou(correct: Tensor, truth: Tensor, predicted: Tensor) -> Tensor:
    r"""Intersection over union of each class in percent; NaN where it is 0 / 0.

    Args:
        correct: Pixels of the class that are predicted as such.
        truth: Pixels of the class.
        predicted: Pixels that are predicted as the class.

    Shape:
        All ``(*)``; output the same.

    Examples:
        >>> class_iou(*torch.tensor([[3.0, 0.0], [4.0, 0.0], [3.0, 0.0]])).tolist()
        [75.0, nan]
    """
    # 0 / 0 is NaN, which marks the absent classes and which nanmean leaves out.
    return 100 * correct / (truth + predicted - correct)


def class_sums(matrix: Tensor) -> Tensor:
    """Of confusion matrices ``(*, C, C)`` what IoU needs, see :func:`mean_iou`."""
    correct = matrix.diagonal(dim1=-2, dim2=-1)
    return torch.stack([correct, matrix.sum(-1), matrix.sum(-2)], dim=-2)


def mean_iou(sums: Tensor) -> Tensor:
    """mIoU in percent; classes that are absent do not count.

    Args:
        sums: Correct, true and predicted pixels of each class, over all images.

    Shape:
        sums ``(*, 3, C)``; output ``(*)``.

    Examples:
        >>> matrix = torch.tensor([[3, 1, 0], [0, 0, 0], [0, 0, 0]])
        >>> mean_iou(class_sums(matrix)).item()
        37.5
    """
    return class_iou(*sums.double().unbind(-2)).nanmean(-1)
