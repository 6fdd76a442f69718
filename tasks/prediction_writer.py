"""Predictions as files that programs read, and pictures that people look at."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, count
from pathlib import Path
from typing import Any

from cmim.task import known_tasks
from tasks.datasets.nyu40 import NYU40_CLASSES
from tasks.pictures import palette_of, write_picture
from tasks.side_by_side import side_by_side

# What the name of a row of drawings ends with.
BESIDE = "_side_by_side.png"


class PredictionWriter:
    """Writes what a sample predicts: exact values and a picture of each.

    ``NAME_labels.png`` uint8, 0 void, class + 1 (as ``labels40``), and
    ``NAME_overlay.png``; ``NAME_depth.png`` uint16 millimetres and
    ``NAME_depth_colour.png``; ``NAME_normals.png`` uint16 RGB, component x is
    ``65535 (x + 1) / 2``, and ``NAME_normals_colour.png``; ``NAME_edges.png`` uint8,
    255 times the probability, and ``NAME_edges_overlay.png``.

    Values that such a PNG cannot hold are written as float32 into a ``.npy`` of that
    name instead, as they are: depth in metres that is NaN, below half a millimetre or
    beyond 65.535 m, components and probabilities that are NaN or out of range.

    With ``beside`` also ``NAME_side_by_side.png``: the picture and every drawing.

    Pictures of equal name from several folders get a number: ``NAME_2_labels.png``.

    Args:
        folder: Target folder, made when missing.
        classes: Class names for the legend.
        palette: RGB triple of each class; some that differ when None.
        kept: Files that are not overwritten, such as the pictures predicted on.
        beside: Whether the picture and all drawings are written side by side, too.

    Raises:
        ValueError: More than 255 classes; a palette of fewer colours than classes; a
            sample of a class that has no name.
    """

    def __init__(
        self,
        folder: str | Path,
        classes: Sequence[str] = NYU40_CLASSES,
        palette: Sequence[Sequence[int]] | None = None,
        kept: Sequence[str | Path] = (),
        beside: bool = False,
    ) -> None:
        if len(classes) > 255:
            raise ValueError(
                f"{len(classes)} classes do not fit into label pictures of 8 bits, "
                "where 0 is void; at most 255 classes can be written"
            )
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.classes = classes
        self.palette = palette or palette_of(len(classes))
        if len(self.palette) < len(classes):
            raise ValueError(
                f"metainfo has a palette of {len(self.palette)} colours for "
                f"{len(classes)} classes; give one [R, G, B] for each class, or none"
            )
        self._beside = beside
        self._seen: set[str] = set()
        self._kept = {Path(path).resolve() for path in kept}

    def __call__(self, sample: Any) -> list[Path]:
        """Write one predicted sample (it knows its ``img_path``).

        Returns:
            The pictures to look at.
        """
        drawn = [
            task.write
            for task in known_tasks().values()
            if task.write and task.prediction in sample
        ]
        if not drawn:
            raise ValueError(
                "a classifier predicts no picture; print its classes with "
                "tools/predict.py, or leave out --save-predictions"
            )
        name = self._free_name(Path(sample.img_path).stem)
        base = self.folder / name
        shown = [draw(sample, base, self.classes, self.palette) for draw in drawn]
        if self._beside:
            row = side_by_side(sample, self.palette)
            shown.append(write_picture(f"{base}{BESIDE}", row))
        return shown

    def _free_name(self, stem: str) -> str:
        numbered = (f"{stem}_{number}" for number in count(2))
        name = next(n for n in chain([stem], numbered) if self._is_free(n))
        self._seen.add(name)
        return name

    def _is_free(self, name: str) -> bool:
        ends = [end for task in known_tasks().values() for end in task.files]
        ends.append(BESIDE)
        files = {(self.folder / f"{name}{end}").resolve() for end in ends}
        return name not in self._seen and not files & self._kept
