"""What a check of many files finds: reasons with a count, and equal pictures."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def by_reason(problems: Sequence[str]) -> list[tuple[int, str]]:
    """Sentences that differ in names and numbers only, counted.

    Args:
        problems: A sentence each.

    Returns:
        How often, and the first of them, most frequent first.

    Examples:
        >>> by_reason(["'a' has 3, 4", "'b' has 7", "'c' is damaged"])
        [(2, "'a' has 3, 4"), (1, "'c' is damaged")]
    """
    groups: dict[str, list[str]] = {}
    for problem in problems:
        reason = re.sub(r"'[^']*'", "''", problem)
        reason = re.sub(r"\d+(\.\d+)?", "#", reason)
        reason = re.sub(r"#(,? (#|to #|and # more))*", "#", reason)
        groups.setdefault(reason, []).append(problem)
    counted = [(len(group), group[0]) for group in groups.values()]
    return sorted(counted, key=lambda pair: -pair[0])


def digest(picture: NDArray[np.uint8]) -> bytes:
    """Equal for pictures of equal pixels, whatever their names and files.

    Args:
        picture: ``(H, W, C)``.
    """
    shape = repr(picture.shape).encode()
    return hashlib.blake2b(shape + np.ascontiguousarray(picture).tobytes()).digest()


class EqualPictures:
    """Pictures of equal pixels under several names.

    Examples:
        >>> pictures, black = EqualPictures(), np.zeros((1, 1, 3), np.uint8)
        >>> pictures.add("a", black), pictures.add("b", black), len(pictures.copies)
        (None, 'a', 1)
    """

    def __init__(self) -> None:
        self.first: dict[bytes, str] = {}
        self.copies: list[tuple[str, str]] = []

    def add(self, path: str, picture: NDArray[np.uint8]) -> str | None:
        """Note a picture; the path of an earlier one that is equal, if there is any."""
        key = digest(picture)
        earlier = self.first.setdefault(key, path)
        if earlier == path:
            return None
        self.copies.append((path, earlier))
        return earlier

    def leak(self, trained: EqualPictures, paths: set[str]) -> str | None:
        """Say which of these pictures are trained on under another name.

        Args:
            trained: The pictures that are trained on.
            paths: Their paths; a picture of the same path is no copy.
        """
        pairs = [
            (p, trained.first[k]) for k, p in self.first.items() if k in trained.first
        ]
        pairs += [(p, trained.first[digest_]) for p, digest_ in self._again(trained)]
        pairs = [pair for pair in pairs if pair[0] not in paths]
        if not pairs:
            return None
        return (
            f"{len(pairs)} pictures are trained on, too, under other names (the same "
            f"pixels: '{pairs[0][0]}' is '{pairs[0][1]}'), so that figures measured "
            "here say nothing about new pictures: delete them from one split, or name "
            "the frames to use in a list (names='{split}.txt')"
        )

    def _again(self, trained: EqualPictures) -> list[tuple[str, bytes]]:
        keys = {path: key for key, path in self.first.items()}
        copies = [(path, keys[first]) for path, first in self.copies]
        return [(path, key) for path, key in copies if key in trained.first]
