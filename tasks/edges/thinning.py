"""Thinning of binary edge maps to lines one pixel wide."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

# The neighbours x1 to x8 of a pixel, from the east on against the clock: row, column.
_NEIGHBOURS = ((0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1))


def thin(edges: NDArray) -> NDArray[np.bool_]:
    r"""Take pixels off from both sides until no more can go.

    Two passes take turns. A pixel goes if all three hold, with neighbours
    :math:`x_1 \ldots x_8` from the east on against the clock:

    .. math::
        \sum_{i=1}^4 \bar x_{2i-1} \wedge (x_{2i} \vee x_{2i+1}) = 1, \qquad
        2 \le \min\Big(\sum_{k=1}^4 x_{2k-1} \vee x_{2k},\;
            \sum_{k=1}^4 x_{2k} \vee x_{2k+1}\Big) \le 3,

    and :math:`(x_2 \vee x_3 \vee \bar x_8) \wedge x_1 = 0` in the first pass,
    :math:`(x_6 \vee x_7 \vee \bar x_4) \wedge x_5 = 0` in the second. What was
    connected stays connected. Pixels outside the map count as none.

    Checked: equal to ``skimage.morphology.thin`` (0.26), which is MATLAB's
    ``bwmorph(..., 'thin', Inf)``, on 200 random maps.

    Args:
        edges: Not 0 where there is an edge.

    Returns:
        A new map, a part of the given one.

    Shape:
        ``(H, W)``; output the same.

    References:
        Guo, Hall, Parallel Thinning with Two-Subiteration Algorithms, CACM 1989.
        https://doi.org/10.1145/62065.62074

    Examples:
        >>> band = np.zeros((5, 6), bool)
        >>> band[1:4] = True
        >>> thin(band).astype(int)[1:4].tolist()
        [[0, 0, 0, 0, 0, 0], [0, 1, 1, 1, 1, 0], [0, 0, 0, 0, 0, 0]]
    """
    thinned = (np.asarray(edges) != 0).astype(np.uint8)
    first, second = _tables()
    count = -1
    while count != (count := int(np.count_nonzero(thinned))):
        for table in (first, second):
            thinned &= cv2.LUT(_codes(thinned), table)
    return thinned.astype(bool)


def _codes(edges: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Eight bits a pixel: which of its neighbours are edges."""
    kernel = np.zeros((3, 3), np.float32)
    for bit, (row, column) in enumerate(_NEIGHBOURS):
        kernel[row + 1, column + 1] = 1 << bit
    codes = cv2.filter2D(edges, cv2.CV_8U, kernel, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(codes, np.uint8)


@cache
def _tables() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Of each pass: whether a pixel with such neighbours stays."""
    codes = np.arange(256)
    # x[1] to x[8]; x[9] is x[1] again.
    x = [codes > 0, *((codes >> bit & 1).astype(bool) for bit in range(8))]
    x.append(x[1])
    crossings = sum((~x[i] & (x[i + 1] | x[i + 2])).astype(int) for i in (1, 3, 5, 7))
    pairs = [sum((x[k + j] | x[k + j + 1]).astype(int) for k in (1, 3, 5, 7))
             for j in (0, 1)]  # fmt: skip
    fewest = np.minimum(*pairs)
    both = (crossings == 1) & (fewest >= 2) & (fewest <= 3)
    first = both & ~((x[2] | x[3] | ~x[8]) & x[1])
    second = both & ~((x[6] | x[7] | ~x[4]) & x[5])
    return (~first).astype(np.uint8), (~second).astype(np.uint8)
