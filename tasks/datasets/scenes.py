"""Which frames show the same scene, and a validation split that respects it."""

from __future__ import annotations

from pathlib import Path

from tasks.datasets.errors import DataError
from tasks.datasets.name_patterns import read_lines


def read_scenes(path: Path, names: list[str]) -> list[str]:
    """Scene of each frame.

    Args:
        path: ``scenes.txt`` with lines ``FRAME SCENE``; need not exist.
        names: Frame names in order.

    Returns:
        A scene name per frame. Without the file, blocks of eight consecutive frame
        numbers stand for scenes: the official file is ordered by scene.

    Raises:
        DataError: The file lacks a frame or its scene; there is no file, and a frame
            is named by something else than a number.

    Examples:
        >>> read_scenes(Path("no-such-file"), ["00001", "00002", "00009"])
        ['block0000', 'block0000', 'block0001']
    """
    if not path.is_file():
        return [_block(name, path) for name in names]
    lines = [line.strip().split(maxsplit=1) for line in read_lines(path)]
    known = {fields[0]: fields[1] for fields in lines if len(fields) > 1}
    missing = [name for name in names if name not in known]
    if missing:
        raise DataError(
            f"'{path}' has no scene for {len(missing)} frames (first '{missing[0]}'); "
            "expected lines 'FRAME SCENE', delete the file to do without"
        )
    return [known[name] for name in names]


def _block(name: str, path: Path) -> str:
    if not name.isdecimal():
        raise DataError(
            f"'{path}' does not exist, and the frame '{name}' has no number that would "
            "tell its scene: write lines 'FRAME SCENE' into it, or set val_fraction=0"
        )
    return f"block{(int(name) - 1) // 8:04d}"


def split_scenes(
    names: list[str], scenes: list[str], fraction: float
) -> tuple[list[str], list[str]]:
    """Carve whole scenes, evenly spread, until they hold a share of the frames.

    Args:
        names: Frame names.
        scenes: Scene of each frame.
        fraction: Share of the frames to carve, in (0, 1).

    Returns:
        Remaining and carved frame names, both in the given order. No scene is in both.

    Examples:
        >>> split_scenes(list("abcdef"), list("xxyyzz"), 0.3)
        (['c', 'd', 'e', 'f'], ['a', 'b'])
    """
    carved: set[str] = set()
    # Carve a scene whenever the share taken so far lags behind: evenly spread and
    # deterministic without a seed.
    order = list(dict.fromkeys(scenes))
    size = {scene: scenes.count(scene) for scene in order}
    seen = taken = 0
    for scene in order:
        seen += size[scene]
        if taken < fraction * seen:
            carved.add(scene)
            taken += size[scene]
    pairs = list(zip(names, scenes, strict=True))
    return (
        [name for name, scene in pairs if scene not in carved],
        [name for name, scene in pairs if scene in carved],
    )
