"""Ways to look at a picture, as the command line names them.

Imports the standard library only, as the types of options do.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass


@dataclass(frozen=True)
class View:
    """A way to look at a picture.

    Args:
        flip: Mirrored, left and right exchanged.
        zoom: Size relative to the network's usual input, above 0.
    """

    flip: bool = False
    zoom: float = 1.0


def read_views(text: str) -> tuple[View, ...]:
    """Views of a description, as a type of an option.

    Args:
        text: ``flip``, sizes relative to the usual one, or both, by commas. Without
            sizes there is the usual one; with ``flip`` each is also seen mirrored.

    Examples:
        >>> [(view.flip, view.zoom) for view in read_views("flip")]
        [(False, 1.0), (True, 1.0)]
        >>> len(read_views("flip,0.75,1,1.25"))
        6
        >>> read_views("flop")
        Traceback (most recent call last):
        argparse.ArgumentTypeError: 'flop' is no view; give flip, sizes such as ...
    """
    words = [word.strip() for word in text.split(",")]
    zooms = []
    for word in words:
        if word == "flip":
            continue
        try:
            zooms.append(float(word))
        except ValueError:
            zooms.append(0.0)
        if not 0.1 <= zooms[-1] <= 10:
            raise argparse.ArgumentTypeError(
                f"{word!r} is no view; give flip, sizes such as 0.75 (0.1 to 10 times "
                "the usual one), or both: flip,0.75,1,1.25"
            )
    if len(set(zooms)) < len(zooms) or words.count("flip") > 1:
        raise argparse.ArgumentTypeError(f"{text!r} has a view twice; give each once")
    flips = (False, True) if "flip" in words else (False,)
    return tuple(View(flip, zoom) for zoom in zooms or [1.0] for flip in flips)
