"""Predictions as files that programs read, and pictures that people look at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain, count
from pathlib import Path
from typing import Any

import numpy as np

from cmim.whole_output import whole_output
from tasks.datasets.nyu40 import NYU40_CLASSES
from tasks.picture_files import read_to_show
from tasks.pictures import (
    colour_normals,
    depth_with_scale,
    overlay_classes,
    overlay_edges,
    palette_of,
    write_image,
)

# What the names of written files end with.
ENDS = tuple(
    f"_{kind}"
    for kind in (
        *("labels.png", "overlay.png", "depth.png", "depth.npy", "depth_colour.png"),
        *("normals.png", "normals.npy", "normals_colour.png"),
        *("edges.png", "edges.npy", "edges_overlay.png"),
    )
)


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

    Pictures of equal name from several folders get a number: ``NAME_2_labels.png``.

    Args:
        folder: Target folder, made when missing.
        classes: Class names for the legend.
        palette: RGB triple of each class; some that differ when None.
        kept: Files that are not overwritten, such as the pictures predicted on.

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
        self._seen: set[str] = set()
        self._kept = {Path(path).resolve() for path in kept}

    def __call__(self, sample: Any) -> list[Path]:
        """Write one predicted sample (it knows its ``img_path``).

        Returns:
            The pictures to look at.
        """
        drawn = [draw for key, draw in self._drawings().items() if key in sample]
        if not drawn:
            raise ValueError(
                "a classifier predicts no picture; print its classes with "
                "tools/predict.py, or leave out --save-predictions"
            )
        name = self._free_name(Path(sample.img_path).stem)
        return [draw(sample, self.folder / name) for draw in drawn]

    def _free_name(self, stem: str) -> str:
        numbered = (f"{stem}_{number}" for number in count(2))
        name = next(n for n in chain([stem], numbered) if self._is_free(n))
        self._seen.add(name)
        return name

    def _is_free(self, name: str) -> bool:
        files = {(self.folder / f"{name}{end}").resolve() for end in ENDS}
        return name not in self._seen and not files & self._kept

    def _drawings(self) -> dict[str, Callable[[Any, Path], Path]]:
        return dict(
            pred_sem_seg=self._draw_classes,
            pred_depth_map=_draw_depth,
            pred_normal_map=_draw_normals,
            pred_edge_map=_draw_edges,
        )

    def _draw_classes(self, sample: Any, base: Path) -> Path:
        classes = sample.pred_sem_seg.data[0].cpu().numpy().astype(np.int64)
        low, high = int(classes.min()), int(classes.max())
        if low < 0 or high >= len(self.classes):
            raise ValueError(
                f"class {low if low < 0 else high} is predicted for "
                f"'{sample.img_path}', but there are names of {len(self.classes)} "
                "classes, from 0 on: use the config that the model was trained with, "
                "or name all classes in the test data's metainfo"
            )
        write_image(f"{base}_labels.png", (classes + 1).astype(np.uint8))
        image = read_to_show(sample.img_path)
        picture = overlay_classes(image, classes, self.classes, self.palette)
        return _write_picture(f"{base}_overlay.png", picture)


def _draw_depth(sample: Any, base: Path) -> Path:
    metres = sample.pred_depth_map.data[0].cpu().numpy()
    millimetres = np.rint(metres.astype(np.float64) * 1000)
    # 0 stands for unknown, which no prediction is.
    fits = ((millimetres >= 1) & (millimetres <= 65535)).all()
    _write_exact(f"{base}_depth", metres, millimetres, fits, np.uint16)
    return _write_picture(f"{base}_depth_colour.png", depth_with_scale(metres))


def _draw_normals(sample: Any, base: Path) -> Path:
    normals = sample.pred_normal_map.data.permute(1, 2, 0).cpu().numpy()
    levels = np.rint((np.clip(normals, -1, 1) + 1) * 32767.5)
    # Rounding makes components of unit vectors a little longer than 1.
    fits = (np.abs(normals) <= 1 + 1e-5).all()
    _write_exact(f"{base}_normals", normals, levels, fits, np.uint16)
    return _write_picture(f"{base}_normals_colour.png", colour_normals(normals))


def _draw_edges(sample: Any, base: Path) -> Path:
    share = sample.pred_edge_map.data[0].cpu().numpy()
    fits = ((share >= 0) & (share <= 1)).all()
    _write_exact(f"{base}_edges", share, np.rint(255 * share), fits, np.uint8)
    picture = overlay_edges(read_to_show(sample.img_path), share)
    return _write_picture(f"{base}_edges_overlay.png", picture)


def _write_exact(
    base: str, values: np.ndarray, levels: np.ndarray, fits: bool, kind: type
) -> None:
    """Levels as PNG where they stand for the values, else the values as they are."""
    picture, array = Path(f"{base}.png"), Path(f"{base}.npy")
    # One of an earlier prediction would be taken for this one's.
    (array if fits else picture).unlink(missing_ok=True)
    if fits:
        write_image(str(picture), levels.astype(kind))
    else:
        with whole_output(array) as place:
            np.save(place, values.astype(np.float32))


def _write_picture(path: str, picture: np.ndarray) -> Path:
    write_image(path, picture)
    return Path(path)
