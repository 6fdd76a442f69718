"""A full disk, which is no fault of a run."""

from __future__ import annotations

import errno

_FULL = (errno.ENOSPC, errno.EDQUOT)


def is_full(error: BaseException) -> bool:
    """Whether an error says that a disk, or a user's share of it, is full.

    Examples:
        >>> is_full(OSError(errno.ENOSPC, "No space left")), is_full(OSError())
        (True, False)
    """
    return isinstance(error, OSError) and error.errno in _FULL
