"""Which pixels stay when a map is resized that cannot be averaged, such as labels."""

from __future__ import annotations

import torch
from torch import Tensor


def nearest_centres(
    source: int, target: int, device: torch.device | str | None = None
) -> Tensor:
    r"""The source pixel at the centre of each target pixel, along one axis.

    Pixel i covers [i, i + 1], as pictures are resized, so target pixel i has its centre
    at source position

    .. math:: c_i = (i + 1/2) \cdot source / target

    and takes pixel floor(c_i). Where c_i falls on the border of two pixels, as it does
    everywhere when an even number of pixels becomes one, the left one is taken for even
    i and the right one for odd i: always the same side would move every edge by half a
    source pixel. (``nearest`` of OpenCV and torch takes floor(i source / target), half
    a target pixel off; ``nearest-exact`` takes the right one.)

    Args:
        source: Pixels there are.
        target: Pixels wanted.
        device: Where the indices are made.

    Returns:
        Indices of source pixels.

    Shape:
        ``(target,)`` int64.

    Raises:
        ValueError: A number of pixels below 1.

    Examples:
        >>> nearest_centres(8, 4).tolist()
        [0, 3, 4, 7]
        >>> nearest_centres(6, 2).tolist(), nearest_centres(2, 4).tolist()
        ([1, 4], [0, 0, 1, 1])
    """
    if min(source, target) < 1:
        raise ValueError(f"pixels must be at least 1, got {source} and {target}")
    index = torch.arange(target, device=device)
    twice = (2 * index + 1) * source
    on_border = twice % (2 * target) == 0
    return twice // (2 * target) - (on_border & (index % 2 == 0)).long()


def resize_nearest(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps of another size, every value one that was there.

    Args:
        maps: Any dtype.
        size: ``(height, width)`` wanted.

    Shape:
        maps ``(*, H, W)``; output ``(*, height, width)``.

    Examples:
        >>> resize_nearest(torch.tensor([[1, 2], [3, 4]]), (1, 2)).tolist()
        [[1, 2]]
    """
    rows = nearest_centres(maps.shape[-2], size[0], maps.device)
    columns = nearest_centres(maps.shape[-1], size[1], maps.device)
    return maps.index_select(-2, rows).index_select(-1, columns)
