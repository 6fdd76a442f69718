"""A prediction as a page shows it: a picture, and what stands at each pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Reading:
    """What the whole numbers of a channel mean: ``scale * number + offset``.

    Args:
        name: Of the channel; empty where there is only one.
        unit: Of what is meant.
        scale: See above.
        offset: Likewise.
        digits: Places behind the point that are meant.
        unknown: The number that says nothing, if there is one.

    Examples:
        >>> depth = Reading("", unit="m", scale=0.001)
        >>> depth.scale * 2500 + depth.offset
        2.5
    """

    name: str
    unit: str = ""
    scale: float = 1.0
    offset: float = 0.0
    digits: int = 2
    unknown: int | None = None


@dataclass(frozen=True)
class View:
    """A prediction to look at and to point at.

    Args:
        title: What is shown, for people.
        picture: ``(H, W, 3)`` uint8, RGB.
        values: ``(H, W, C)`` uint8 or uint16: numbers of classes, or what ``readings``
            say of each channel.
        names: Of the classes; empty where numbers are measured.
        colours: RGB triple of each class.
        readings: One a channel; empty where there are ``names``.
        note: What the colours mean, where no legend says it.

    Raises:
        ValueError: Neither every class nor every channel is described.

    Examples:
        >>> grey = np.zeros((2, 2, 3), np.uint8)
        >>> View("Depth", grey, grey[..., :1])
        Traceback (most recent call last):
        ValueError: view 'Depth' has 1 channel(s) and 0 readings; give one a channel...
    """

    title: str
    picture: NDArray[np.uint8]
    values: NDArray[np.uint8] | NDArray[np.uint16]
    names: Sequence[str] = ()
    colours: Sequence[Sequence[int]] = ()
    readings: tuple[Reading, ...] = ()
    note: str = ""

    def __post_init__(self) -> None:
        channels = self.values.shape[2]
        if not self.names and len(self.readings) != channels:
            raise ValueError(
                f"view '{self.title}' has {channels} channel(s) and "
                f"{len(self.readings)} readings; give one a channel, or class names"
            )
        highest = int(self.values.max(initial=0))
        if self.names and highest >= min(len(self.names), len(self.colours)):
            raise ValueError(
                f"view '{self.title}' has the class {highest}, and "
                f"{len(self.names)} names and {len(self.colours)} colours; name all "
                "classes in the test data's metainfo"
            )
