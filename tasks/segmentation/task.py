"""Semantic segmentation as a task: what others ask of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cmim.contrast.pairs import IGNORED
from cmim.functional.ensemble import log_mean_softmax, logit_mean_sigmoid
from cmim.task import Drawing, Labels, Task
from cmim.task_view import View
from tasks.picture_files import picture_of
from tasks.pictures import (
    colour_classes,
    overlay_classes,
    palette_of,
    write_image,
    write_picture,
)
from tasks.segmentation.iou import mean_iou
from tasks.segmentation.model import fill_classes

VOID = 255


def _labels(classes: Tensor) -> Tensor:
    return classes.masked_fill(classes == VOID, IGNORED)


def _average(logits: Tensor) -> Tensor:
    # One logit stands for one class against nothing.
    return (logit_mean_sigmoid if logits.shape[2] == 1 else log_mean_softmax)(logits)


def _random(generator: torch.Generator, size: tuple[int, int], head: Mapping) -> Tensor:
    count = head.get("num_classes", 40)
    return torch.randint(0, count, (1, *size), generator=generator)


def _write(
    sample: Any, base: Path, names: Sequence[str], palette: Sequence[Sequence[int]]
) -> Path:
    classes = sample.pred_sem_seg.data[0].cpu().numpy().astype(np.int64)
    low, high = int(classes.min()), int(classes.max())
    if low < 0 or high >= len(names):
        raise ValueError(
            f"class {low if low < 0 else high} is predicted for "
            f"'{sample.img_path}', but there are names of {len(names)} "
            "classes, from 0 on: use the config that the model was trained with, "
            "or name all classes in the test data's metainfo"
        )
    write_image(f"{base}_labels.png", (classes + 1).astype(np.uint8))
    image = picture_of(sample)
    picture = overlay_classes(image, classes, names, palette)
    return write_picture(f"{base}_overlay.png", picture)


def _draw(sample: Any, palette: Sequence | None) -> Drawing:
    colours = palette or palette_of(255)
    known = "gt_sem_seg" in sample
    return Drawing(
        image=picture_of(sample),
        truth=_coloured(sample.gt_sem_seg, colours) if known else None,
        prediction=_coloured(sample.pred_sem_seg, colours),
        flat=True,
    )


def _coloured(classes: Any, colours: Sequence) -> np.ndarray:
    return colour_classes(classes.data[0].cpu().numpy(), colours)


def _view(sample: Any, names: Sequence[str], palette: Sequence) -> View:
    classes = sample.pred_sem_seg.data[0].cpu().numpy().astype(np.uint8)
    return View(
        title="Classes",
        picture=colour_classes(classes, palette),
        values=classes[..., None],
        names=names,
        colours=palette,
    )


TASK = Task(
    name="seg",
    truth="gt_sem_seg",
    prediction="pred_sem_seg",
    fill=fill_classes,
    figure="mIoU",
    unknown=VOID,
    dtype=torch.int64,
    labels=Labels("class", "classes", "labels", _labels),
    synthesize=_random,
    write=_write,
    files=("_labels.png", "_overlay.png"),
    average=_average,
    draw=_draw,
    view=_view,
    of_sums=mean_iou,
)
