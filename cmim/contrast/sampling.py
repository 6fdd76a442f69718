"""How likely the pixels of an image are to be anchors."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cmim.contrast.options import SAMPLINGS
from cmim.contrast.pairs import IGNORED, pick_labels

# Weight of pixels away from edges, where those at edges have 1.
INTERIOR = 0.1


def sampling_weights(
    sampling: str, regions: Tensor | None, height: int, width: int
) -> Tensor | None:
    """Weights for :func:`cmim.contrast.pairs.sample_positions`.

    Labels are read at the centres of feature pixels; those of unknown label weigh 0.

    Args:
        sampling: ``'uniform'``; ``'per_class'``, every label of an image as often as
            another: 1 over the number of its feature pixels; ``'edges'``, mostly where
            labels change: 1 where one of the eight neighbours has another known label,
            0.1 elsewhere.
        regions: ``(N, H_img, W_img)`` int64 labels, -1 for unknown; needed unless
            sampling is uniform.
        height: Rows of the feature map.
        width: Columns of the feature map.

    Returns:
        ``(N, height * width)`` float32, or None for uniform.

    Raises:
        ValueError: Unknown sampling, or labels that it needs are missing.

    Examples:
        >>> sampling_weights("uniform", None, 2, 2)
        >>> labels = torch.tensor([[[5, 5, 7, -1]]])
        >>> sampling_weights("per_class", labels, 1, 4).tolist()
        [[0.5, 0.5, 1.0, 0.0]]
        >>> sampling_weights("edges", labels, 1, 4).tolist()
        [[0.1..., 1.0, 1.0, 0.0]]
    """
    if sampling not in SAMPLINGS:
        raise ValueError(
            f"sampling {sampling!r} is unknown; choose from {', '.join(SAMPLINGS)}"
        )
    if sampling == "uniform":
        return None
    if regions is None:
        raise ValueError(
            f"sampling {sampling!r} needs the labels of the images: give "
            "BatchLabels(regions=...), or set sampling='uniform'"
        )
    everywhere = torch.arange(height * width, device=regions.device)
    everywhere = everywhere.expand(len(regions), -1)
    labels = pick_labels(regions, everywhere, height, width).view_as(everywhere)
    if sampling == "per_class":
        weights = 1 / _label_counts(labels).float()
    else:
        maps = labels.view(-1, 1, height, width)
        weights = torch.where(_at_edge(maps).flatten(1), 1.0, INTERIOR)
    return weights.masked_fill(labels == IGNORED, 0)


def _label_counts(labels: Tensor) -> Tensor:
    """How often the label of each pixel occurs in its image, ``(N, P)``."""
    # Runs of the sorted labels are counted: their values need no upper limit, which
    # would have to be read back from the device.
    ordered, order = labels.sort(dim=1)
    run = F.pad((ordered[:, 1:] != ordered[:, :-1]).long(), (1, 0)).cumsum(dim=1)
    lengths = torch.zeros_like(labels).scatter_add_(1, run, torch.ones_like(run))
    return torch.empty_like(labels).scatter_(1, order, lengths.gather(1, run))


def _at_edge(maps: Tensor) -> Tensor:
    """Where the 3x3 neighbourhood has another known label, ``(N, 1, H, W)``."""
    labels = maps.float()
    unknown = maps == IGNORED
    highest = labels.masked_fill(unknown, float("-inf"))
    lowest = (-labels).masked_fill(unknown, float("-inf"))
    highest, lowest = (F.max_pool2d(x, 3, 1, 1) for x in (highest, lowest))
    return (highest > labels) | (-lowest < labels)
