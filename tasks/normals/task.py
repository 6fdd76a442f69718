"""Surface normals as a task: what others ask of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from torch import Tensor

from cmim.task import Drawing, Task
from cmim.task_view import Reading, View
from tasks.heads.aspp import full_size
from tasks.normals.metrics import mean_angle
from tasks.picture_files import picture_of
from tasks.pictures import colour_normals, write_exact, write_picture


def fill_normals(vectors: Tensor, samples: list) -> None:
    """``pred_normal_map`` ``(3, H, W)``, unit vectors."""
    for sample, full in full_size(vectors, samples):
        unit = F.normalize(full, dim=0, eps=1e-6)
        sample.set_data(dict(pred_normal_map=PixelData(data=unit)))


def _restore(vectors: Tensor, mirrored: bool, zoom: float) -> Tensor:
    """The inverse of what AugmentFrame does to normals."""
    right, down, forward = vectors.unbind(dim=1)
    right = -right if mirrored else right
    turned = torch.stack([right, down, forward / zoom], dim=1)
    return F.normalize(turned, dim=1, eps=1e-6)


def _random(generator: torch.Generator, size: tuple[int, int], head: Mapping) -> Tensor:
    """Unit vectors towards the camera."""
    vectors = torch.randn((3, *size), generator=generator)
    vectors[2] = -1
    return vectors / vectors.norm(dim=0)


def _write(sample: Any, base: Path, *_: Any) -> Path:
    normals = sample.pred_normal_map.data.permute(1, 2, 0).cpu().numpy()
    levels = np.rint((np.clip(normals, -1, 1) + 1) * 32767.5)
    # Rounding makes components of unit vectors a little longer than 1.
    fits = (np.abs(normals) <= 1 + 1e-5).all()
    write_exact(f"{base}_normals", normals, levels, fits, np.uint16)
    return write_picture(f"{base}_normals_colour.png", colour_normals(normals))


def _draw(sample: Any, *_: Any) -> Drawing:
    known = "gt_normal_map" in sample
    return Drawing(
        image=picture_of(sample),
        truth=_coloured(sample.gt_normal_map) if known else None,
        prediction=_coloured(sample.pred_normal_map),
    )


def _coloured(normals: Any) -> np.ndarray:
    return colour_normals(normals.data.permute(1, 2, 0).cpu().numpy())


def _view(sample: Any, *_: Any) -> View:
    """The colours are the values: components right, up and towards the camera."""
    picture = _coloured(sample.pred_normal_map)
    axes = ("right", "up", "to the camera")
    return View(
        title="Surface normals",
        note="red faces right, green up, blue the camera",
        picture=picture,
        values=picture,
        readings=tuple(
            Reading(axis, scale=1 / 127.5, offset=-1, digits=2) for axis in axes
        ),
    )


TASK = Task(
    name="normals",
    truth="gt_normal_map",
    prediction="pred_normal_map",
    fill=fill_normals,
    figure="mean_angle",
    higher_is_better=False,
    channels=3,
    regression=True,
    synthesize=_random,
    write=_write,
    restore=_restore,
    files=("_normals.png", "_normals.npy", "_normals_colour.png"),
    draw=_draw,
    view=_view,
    of_sums=mean_angle,
)
