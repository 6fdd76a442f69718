"""Features and pictures on another grid, by means and lines between centres."""

from __future__ import annotations

import torch
from torch import Tensor


def axis_weights(source: int, target: int) -> Tensor:
    r"""What each pixel gives to each pixel of a resized axis.

    Pixel j covers [j, j + 1], as in :mod:`cmim.functional.nearest`, so that a target
    pixel i covers [i r, (i + 1) r] with r = source / target. Where pixels become fewer,
    each is the mean over what it covers; where they become more, it is read at its
    centre on the line between the two centres next to it:

    .. math::
        w_{ij} = \begin{cases}
        \frac{1}{r} \left| [i r, (i+1) r] \cap [j, j+1] \right| & r \ge 1 \\
        \max(0, 1 - |c_i - j|), \quad c_i = \mathrm{clip}((i + \tfrac12) r - \tfrac12,
        0, source - 1) & r < 1
        \end{cases}

    Both leave an edge where it was. (torch's ``adaptive_avg_pool2d`` takes whole
    pixels, more than a target pixel covers; its ``bilinear`` without anti-aliasing
    reads two of the pixels of each.)

    Args:
        source: Pixels there are.
        target: Pixels wanted.

    Returns:
        Weights whose rows sum to 1.

    Shape:
        ``(target, source)`` float64.

    Raises:
        ValueError: A number of pixels below 1.

    Examples:
        >>> axis_weights(4, 2).tolist()
        [[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5]]
        >>> axis_weights(2, 4).tolist()
        [[1.0, 0.0], [0.75, 0.25], [0.25, 0.75], [0.0, 1.0]]
    """
    if min(source, target) < 1:
        raise ValueError(f"pixels must be at least 1, got {source} and {target}")
    ratio = source / target
    first = torch.arange(target, dtype=torch.float64)[:, None]
    pixel = torch.arange(source, dtype=torch.float64)[None, :]
    if ratio >= 1:
        begin = torch.maximum(first * ratio, pixel)
        end = torch.minimum((first + 1) * ratio, pixel + 1)
        return (end - begin).clamp(min=0) / ratio
    centre = ((first + 0.5) * ratio - 0.5).clamp(0, source - 1)
    return (1 - (centre - pixel).abs()).clamp(min=0)


def resize_features(maps: Tensor, size: tuple[int, int]) -> Tensor:
    r"""Maps of real values on another grid over the same picture.

    .. math:: y = W_{rows}\, x\, W_{columns}^T

    with :func:`axis_weights`. Maps of that size already are returned as they are.
    Computed in float32 at least, also under autocast.

    Args:
        maps: Floating.
        size: ``(height, width)`` wanted.

    Shape:
        maps ``(*, H, W)``; output ``(*, height, width)``, of the same dtype.

    Examples:
        >>> resize_features(torch.tensor([[1.0, 2.0], [3.0, 6.0]]), (1, 2)).tolist()
        [[2.0, 4.0]]
    """
    if tuple(maps.shape[-2:]) == tuple(size):
        return maps
    dtype = torch.promote_types(maps.dtype, torch.float32)
    rows, columns = (
        axis_weights(source, target).to(maps.device, dtype)
        for source, target in zip(maps.shape[-2:], size, strict=True)
    )
    with torch.autocast(maps.device.type, enabled=False):
        return (rows @ maps.to(dtype) @ columns.mT).to(maps.dtype)
