"""Heads that read several levels of an encoder."""

from __future__ import annotations

from collections.abc import Sequence


def fusion(in_index: int | Sequence[int]) -> str | None:
    """How mmseg's decode heads take the levels that a head reads.

    Args:
        in_index: One level, or several, of which the first gives the size.

    Examples:
        >>> fusion(-1), fusion([1, 3])
        (None, 'resize_concat')
    """
    return None if isinstance(in_index, int) else "resize_concat"
