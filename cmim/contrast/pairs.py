"""Who is an anchor, who is positive, who is negative: pixels of feature maps."""

from __future__ import annotations

import torch
from torch import Tensor

from cmim.functional.nearest import resize_nearest

IGNORED = -1


def sample_positions(
    batch: int,
    height: int,
    width: int,
    count: int,
    device: torch.device,
    weights: Tensor | None = None,
) -> Tensor:
    """Distinct random pixels of each image.

    A fixed number of anchors an image makes the cost independent of the image size.

    Args:
        batch: N images.
        height: Rows of the feature map.
        width: Columns of the feature map.
        count: Pixels wanted an image; all of them if the map has fewer.
        device: Where to sample.
        weights: ``(N, height * width)``, not negative: chances of the first draw, up to
            a factor an image; later draws are among those left. Pixels of weight 0 are
            taken only where nothing else is left. Uniform when None.

    Returns:
        ``(N, P)`` int64 flat indices ``row * width + column``,
        ``P = min(count, height * width)``.

    Examples:
        >>> sample_positions(1, 2, 2, 9, torch.device("cpu")).sort().values.tolist()
        [[0, 1, 2, 3]]
    """
    if height * width == 1:
        return torch.zeros(batch, min(count, 1), dtype=torch.long, device=device)
    keys = torch.rand(batch, height * width, device=device)
    if weights is not None:
        # The largest u^(1/w) are a draw without replacement (Efraimidis and Spirakis
        # 2006), and log(u) / w are in the same order.
        tiny = torch.finfo(keys.dtype).tiny
        keys = keys.clamp(min=tiny).log() / weights.clamp(min=tiny)
    return keys.topk(min(count, height * width), dim=1).indices


def gather_pixels(features: Tensor, positions: Tensor) -> Tensor:
    """Feature vectors at sampled positions.

    Args:
        features: ``(N, C, H, W)``.
        positions: ``(N, P)`` flat indices.

    Returns:
        ``(N * P, C)``, image after image.

    Examples:
        >>> x = torch.arange(4.0).view(1, 1, 2, 2)
        >>> gather_pixels(x, torch.tensor([[3, 0]])).tolist()
        [[3.0], [0.0]]
    """
    channels = features.shape[1]
    if features.shape[2:] == (1, 1) and positions.shape[1] == 1:
        return features.flatten(1)
    index = positions.unsqueeze(1).expand(-1, channels, -1)
    picked = features.flatten(2).gather(2, index)
    return picked.transpose(1, 2).reshape(-1, channels)


def pick_labels(labels: Tensor, positions: Tensor, height: int, width: int) -> Tensor:
    """Labels at the centres of sampled feature pixels.

    Args:
        labels: ``(N, H, W)`` integer maps at image resolution.
        positions: ``(N, P)`` flat indices into a ``height x width`` feature map.
        height: Rows of the feature map.
        width: Columns of the feature map.

    Returns:
        ``(N * P,)`` labels.

    Examples:
        >>> labels = torch.tensor([[[1, 1, 2, 2], [1, 1, 2, 2]]])
        >>> pick_labels(labels, torch.tensor([[1, 0]]), 1, 2).tolist()
        [2, 1]
    """
    maps = resize_nearest(labels, (height, width))
    return maps.flatten(1).gather(1, positions).flatten()


def other_label(anchors: Tensor, candidates: Tensor) -> Tensor:
    """Which candidates are known to carry another label than the anchor.

    Args:
        anchors: ``(A,)`` labels, ``IGNORED`` (-1) where unknown.
        candidates: ``(B,)`` labels, likewise.

    Returns:
        ``(A, B)`` boolean; rows and columns of unknown labels are False.

    Examples:
        >>> other_label(torch.tensor([0, -1]), torch.tensor([0, 1, -1])).tolist()
        [[False, True, False], [False, False, False]]
    """
    allowed = anchors[:, None] != candidates[None, :]
    allowed &= (anchors != IGNORED)[:, None]
    allowed &= candidates != IGNORED
    return allowed
