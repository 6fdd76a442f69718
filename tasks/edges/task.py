"""Semantic edges as a task: what others ask of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.structures import PixelData
from torch import Tensor

from cmim.functional.ensemble import logit_mean_sigmoid
from cmim.task import Drawing, Task
from cmim.task_view import Reading, View
from tasks.heads.aspp import full_size
from tasks.picture_files import picture_of
from tasks.pictures import overlay_edges, write_exact, write_picture


def fill_edges(logits: Tensor, samples: list) -> None:
    """``pred_edge_map`` ``(1, H, W)``, probabilities."""
    for sample, full in full_size(logits, samples):
        sample.set_data(dict(pred_edge_map=PixelData(data=full.sigmoid())))


def _random(generator: torch.Generator, size: tuple[int, int], head: Mapping) -> Tensor:
    return torch.randint(0, 2, (1, *size), generator=generator)


def _write(sample: Any, base: Path, *_: Any) -> Path:
    share = sample.pred_edge_map.data[0].cpu().numpy()
    fits = ((share >= 0) & (share <= 1)).all()
    write_exact(f"{base}_edges", share, np.rint(255 * share), fits, np.uint8)
    picture = overlay_edges(picture_of(sample), share)
    return write_picture(f"{base}_edges_overlay.png", picture)


def _draw(sample: Any, *_: Any) -> Drawing:
    """Edges red over the picture, unknown pixels as if there were none."""
    image = picture_of(sample)
    truth = None
    if "gt_edge_map" in sample:
        edges = sample.gt_edge_map.data[0].cpu().numpy()
        truth = overlay_edges(image, (edges == 1).astype(np.float32))
    share = sample.pred_edge_map.data[0].cpu().numpy()
    return Drawing(image, truth, overlay_edges(image, share))


def _view(sample: Any, *_: Any) -> View:
    share = np.nan_to_num(sample.pred_edge_map.data[0].cpu().numpy())
    levels = np.rint(255 * np.clip(share, 0, 1)).astype(np.uint8)[..., None]
    white = np.full((*share.shape, 3), 255, np.uint8)
    return View(
        title="Edges",
        note="the redder, the likelier",
        picture=overlay_edges(white, share),
        values=levels,
        readings=(Reading("edge", unit="%", scale=100 / 255, digits=0),),
    )


TASK = Task(
    name="edges",
    truth="gt_edge_map",
    prediction="pred_edge_map",
    fill=fill_edges,
    figure="ods",
    unknown=255,
    dtype=torch.int64,
    synthesize=_random,
    write=_write,
    files=("_edges.png", "_edges.npy", "_edges_overlay.png"),
    average=logit_mean_sigmoid,
    draw=_draw,
    view=_view,
)
