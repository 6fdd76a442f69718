"""The digest by which files are told apart and found whole."""

from __future__ import annotations

import hashlib
from pathlib import Path

_BLOCK_BYTES = 1 << 20


def sha256_of(*parts: str | Path | bytes) -> str:
    """SHA-256 of files and bytes, one behind the other, as hexadecimal digits.

    Args:
        parts: Paths of files, or bytes.

    Examples:
        >>> sha256_of(b"a", b"b") == sha256_of(b"ab")
        True
    """
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, bytes):
            digest.update(part)
            continue
        with open(part, "rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
    return digest.hexdigest()
