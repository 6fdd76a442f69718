"""Predictions of a few test frames as small pictures, the same frames in every run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine.config import Config
from numpy.typing import NDArray

from cmim.data_parts import data_parts
from cmim.digest import sha256_of
from cmim.suite.content import DIGITS
from cmim.task import known_tasks
from cmim.whole_output import write_whole

# Of the pictures, beside the records of the suite.
FOLDER = "examples"
# Pixels of the longer side.
SIDE = 192
_NAME = re.compile(rf"[0-9a-f]{{{DIGITS}}}\.webp")


class ExampleWriter:
    """Keeps the pictures of a few frames while all are predicted.

    The frames are those whose places in the test set have the smallest digests: the
    same of every run, and no neighbours, which often show one room.

    Args:
        count: How many frames.
        palette: RGB triple of each class; some that differ when None.
    """

    def __init__(self, count: int, palette: Sequence | None = None) -> None:
        self.count = count
        self.palette = palette
        self._seen = 0
        self._kept: dict[str, dict[str, Any]] = {}

    def __call__(self, sample: Any) -> None:
        """Take a predicted sample, in the order of the test set."""
        order = sha256_of(str(self._seen).encode())
        place, self._seen = self._seen, self._seen + 1
        if len(self._kept) == self.count:
            last = max(self._kept)
            if order > last:
                return
            del self._kept[last]
        self._kept[order] = dict(place=place, **_pictures(sample, self.palette))

    def write(self, folder: Path) -> list[dict[str, Any]]:
        """Write the pictures, each named by its digest, so that equal ones are one.

        Args:
            folder: Of the suite's records; they lie in its ``examples``.

        Returns:
            What the record says: ``frame`` (the picture's name), ``image`` (a file's
            name), and ``tasks``: ``truth`` and ``prediction`` by task.
        """
        found = []
        for frame in sorted(self._kept.values(), key=lambda each: each["place"]):
            tasks = {
                task: {part: _write(folder, data) for part, data in parts.items()}
                for task, parts in frame["tasks"].items()
            }
            image = _write(folder, frame["image"])
            found.append(dict(frame=frame["frame"], image=image, tasks=tasks))
        return found


def palette_of(config: Config) -> Sequence | None:
    """Colours that a config gives its test data's classes, or None."""
    for _, part in data_parts(config, "test_dataloader"):
        if palette := (part.get("metainfo") or {}).get("palette"):
            return palette
    return None


def read_example(folder: Path, name: str) -> bytes | None:
    """A picture that a record names; None where it is not there.

    Args:
        folder: Of the suite's records.
        name: A file's name; others than :meth:`ExampleWriter.write` makes are not read.
    """
    path = folder / FOLDER / name
    return path.read_bytes() if _NAME.fullmatch(name) and path.is_file() else None


def _pictures(sample: Any, palette: Sequence | None) -> dict[str, Any]:
    drawn = {
        task.name: task.draw(sample, palette)
        for task in known_tasks().values()
        if task.draw is not None and task.prediction in sample
    }
    images = [_encode(each.image, flat=False) for each in drawn.values()]
    return dict(
        frame=Path(sample.img_path).stem,
        image=images[0] if images else None,
        tasks={
            name: dict(
                truth=_encode(each.truth, each.flat),
                prediction=_encode(each.prediction, each.flat),
            )
            for name, each in drawn.items()
        },
    )


def _encode(picture: NDArray[np.uint8] | None, flat: bool) -> bytes | None:
    """A small picture as WebP, without loss where colours are names."""
    if picture is None:
        return None
    share = SIDE / max(picture.shape[:2])
    if share < 1:
        size = [max(1, round(share * side)) for side in picture.shape[1::-1]]
        kind = cv2.INTER_NEAREST_EXACT if flat else cv2.INTER_AREA
        picture = np.asarray(cv2.resize(picture, size, interpolation=kind), np.uint8)
    quality = 101 if flat else 80
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".webp", bgr, [cv2.IMWRITE_WEBP_QUALITY, quality])
    return data.tobytes()


def _write(folder: Path, data: bytes | None) -> str | None:
    if data is None:
        return None
    name = f"{sha256_of(data)[:DIGITS]}.webp"
    write_whole(folder / FOLDER / name, data)
    return name
