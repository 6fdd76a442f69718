"""What the command line calls the networks of a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

Pair = tuple[str, str]


def pairs_of(words: Sequence[str]) -> list[Pair]:
    """Config and file of each network.

    Args:
        words: One after another, as on the command line.

    Raises:
        ValueError: One of a pair is missing.

    Examples:
        >>> pairs_of(["a.py", "a.pth", "b.py", "b.xml"])
        [('a.py', 'a.pth'), ('b.py', 'b.xml')]
    """
    if len(words) % 2 or not words:
        raise ValueError(
            f"{len(words)} words name the networks; give a config and a file for each, "
            "CONFIG FILE CONFIG FILE ..."
        )
    return list(zip(words[::2], words[1::2], strict=True))


def names_of(pairs: Sequence[Pair], names: Sequence[str] | None = None) -> list[str]:
    """A name for each network: the given one, else its config's and what sets it apart.

    Args:
        pairs: Config and file of each.
        names: As many, all different; made of the pairs when None.

    Raises:
        ValueError: Another number of names, or one twice.

    Examples:
        >>> names_of([("configs/a.py", "x/last.pth"), ("configs/b.py", "y.xml")])
        ['a', 'b']
        >>> names_of([("a", "x/last.pth"), ("a", "y.xml"), ("a", "z.xml")])
        ['a, last.pth', 'a, y.xml', 'a, z.xml']
        >>> names_of([("a", "x/last.pth"), ("a", "y/last.pth")])
        ['a, x/last.pth', 'a, y/last.pth']
    """
    if names is None:
        stems = [Path(config).stem for config, _ in pairs]
        files = [Path(file).name for _, file in pairs]
        whole = [file for _, file in pairs]
        for ends in ([""] * len(pairs), files, whole):
            found = [f"{s}, {e}" if e else s for s, e in zip(stems, ends, strict=True)]
            if len(set(found)) == len(found):
                return found
        raise ValueError(f"network {stems[0]!r} is given twice; give each one once")
    if len(names) != len(pairs):
        raise ValueError(
            f"{len(names)} names are given for {len(pairs)} networks; give one each"
        )
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"two networks are called {twice[0]!r}; give other names")
    return list(names)
