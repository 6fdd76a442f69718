"""The teacher's features of pictures that it has seen, kept in the host's memory."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Callable, Mapping

import torch
from mmengine.logging import print_log
from torch import Tensor

DEFAULT_GB = 4.0
# The features of one picture, or of a batch, by the teacher's module.
Features = Mapping[str, Tensor]


class FeatureCache:
    """Features by the picture's own values, so that they cannot be another picture's.

    No sample's name or augmentation is trusted: the key is a digest of the normalised
    pixels. A picture that was cropped, mirrored or coloured otherwise is another one. A
    new picture goes through the teacher alone, not in its batch, so that its features
    do not depend on what stood beside it, and a resumed run, whose cache is empty at
    first, continues in the same bits. Once the limit is reached nothing more is kept
    and nothing is given up: an epoch reads every picture once, and the one read longest
    ago is the next to come.

    Args:
        limit_gb: Most that is kept, in 10^9 bytes, by each process.

    Raises:
        ValueError: A limit that is no positive number.

    Examples:
        >>> cache = FeatureCache(1.0)
        >>> seen = []
        >>> def double(x):
        ...     seen.append(len(x))
        ...     return {"layer": 2 * x}
        >>> for batch in ([1.0, 2.0], [2.0, 1.0]):
        ...     cache(torch.tensor(batch), double)["layer"].tolist()
        [2.0, 4.0]
        [4.0, 2.0]
        >>> seen
        [1, 1]
    """

    def __init__(self, limit_gb: float = DEFAULT_GB) -> None:
        number = isinstance(limit_gb, (int, float)) and not isinstance(limit_gb, bool)
        if not (number and 0 < limit_gb < math.inf):
            raise ValueError(
                f"teacher_cache is True for {DEFAULT_GB:g} GB at most, another limit "
                f"in GB above 0, or False; got {limit_gb!r}"
            )
        self.limit = int(limit_gb * 1e9)
        self.bytes = 0
        self._kept: dict[bytes, dict[str, Tensor]] = {}
        self._full = False

    def __len__(self) -> int:
        return len(self._kept)

    def clear(self) -> None:
        """Forget all, as when the teacher becomes another one or moves."""
        self._kept.clear()
        self.bytes, self._full = 0, False

    def __call__(
        self, pictures: Tensor, run: Callable[[Tensor], Features]
    ) -> dict[str, Tensor]:
        """Features of a batch.

        Args:
            pictures: ``(N, *)``; their values decide.
            run: The teacher; gives tensors ``(N, *)`` for such pictures.
        """
        rows = []
        for place, key in enumerate(_keys(pictures)):
            row = self._kept.get(key)
            if row is None:
                row = self._keep(key, run(pictures[place : place + 1]))
            rows.append(row)
        return {
            name: torch.cat([row[name].to(pictures.device) for row in rows])
            for name in rows[0]
        }

    def _keep(self, key: bytes, features: Features) -> dict[str, Tensor]:
        size = sum(x.numel() * x.element_size() for x in features.values())
        if self.bytes + size > self.limit:
            self._say_full(size)
            return dict(features)
        self.bytes += size
        # Copies, so that nothing larger stays alive than what is counted.
        self._kept[key] = {n: x.to("cpu", copy=True) for n, x in features.items()}
        return dict(features)

    def _say_full(self, size: int) -> None:
        if not self._full:
            self._full = True
            print_log(
                f"the teacher's cache is full: {len(self)} pictures in "
                f"{self.bytes / 1e9:.2f} GB, {size / 1e6:.1f} MB each; others pass "
                "through the teacher every time; model.teacher_cache=GB sets the "
                "limit",
                logger="current",
                level=logging.WARNING,
            )


def cache_of(option: bool | float) -> FeatureCache | None:
    """The cache that ``teacher_cache`` asks for: True, a limit in GB, or False."""
    if option is False or option is None:
        return None
    return FeatureCache(DEFAULT_GB if option is True else option)


def _keys(pictures: Tensor) -> list[bytes]:
    """A digest of each picture, and of how it would be computed."""
    device = pictures.device.type
    cast = torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device)
    kind = f"{tuple(pictures.shape[1:])} {pictures.dtype} {cast}"
    # Bytes, since NumPy has no bfloat16.
    rows = pictures.detach().cpu().contiguous().view(len(pictures), -1)
    return [
        hashlib.blake2b(
            row.view(torch.uint8).numpy(), digest_size=16, person=_person(kind)
        ).digest()
        for row in rows
    ]


def _person(kind: str) -> bytes:
    return hashlib.blake2b(kind.encode(), digest_size=16).digest()
