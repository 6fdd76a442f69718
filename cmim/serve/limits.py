"""How much of the machine a page's visitors may use, and how they are refused."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds of what is taken from visitors.

    Args:
        most_bytes: Of a picture file.
        most_pixels: That a picture file may say it has.
        waiting: Pictures that wait while one is looked at.
        seconds: That a picture may take to arrive, then to wait, then to be looked at.

    Raises:
        ValueError: A bound that lets nothing pass.
    """

    most_bytes: int = 16_000_000
    most_pixels: int = 50_000_000
    waiting: int = 8
    seconds: float = 30.0

    def __post_init__(self) -> None:
        if min(self.most_bytes, self.most_pixels, self.seconds) <= 0:
            raise ValueError(f"{self} lets nothing pass; give numbers above 0")
        if self.waiting < 0:
            raise ValueError(f"{self.waiting} pictures cannot wait; give 0 or more")


class Refusal(Exception):
    """A visitor is told no, in one sentence.

    Args:
        status: Of HTTP.
        sentence: What was given, what is accepted, what to do.
    """

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
