"""Where the axes of a raw program's values lie in TensorFlow, channels last.

A value of three axes, ``(C, H, W)``, becomes ``(N, H, W, C)``; others keep their order.
Imports NumPy alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def last_shape(shape: Sequence[int]) -> tuple[int, ...]:
    """A shape without the images, channels last.

    Examples:
        >>> last_shape([8, 4, 6]), last_shape([8])
        ((4, 6, 8), (8,))
    """
    return (*shape[1:], shape[0]) if len(shape) == 3 else tuple(shape)


def place_of(axis: int, rank: int) -> int:
    """Where an axis of a value of ``rank`` axes lies, the images counted.

    Examples:
        >>> [place_of(axis, 3) for axis in range(3)], place_of(0, 1)
        ([3, 1, 2], 1)
    """
    return (3, 1, 2)[axis] if rank == 3 else axis + 1


def per_channel(values: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """A number a channel, or one for all, to be repeated over a value of this shape.

    Examples:
        >>> per_channel(np.float32([1, 2]), [2, 4, 6]).shape
        (2,)
        >>> per_channel(np.float32([3]), [2, 5]).shape
        (2, 1)
    """
    full = np.broadcast_to(values.astype(np.float32), shape[0])
    return full if len(shape) in (1, 3) else full.reshape(-1, *[1] * (len(shape) - 1))


def channels_last(x: np.ndarray) -> np.ndarray:
    """``(N, C, H, W)`` to ``(N, H, W, C)``; others as they are."""
    x = x.transpose(0, 2, 3, 1) if x.ndim == 4 else x
    return np.ascontiguousarray(x)


def channels_first(x: np.ndarray) -> np.ndarray:
    """``(N, H, W, C)`` to ``(N, C, H, W)``; others as they are."""
    x = x.transpose(0, 3, 1, 2) if x.ndim == 4 else x
    return np.ascontiguousarray(x)
