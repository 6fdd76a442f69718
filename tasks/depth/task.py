"""Depth in metres as a task: what others ask of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.structures import PixelData
from torch import Tensor

from cmim.contrast.pairs import IGNORED
from cmim.task import Drawing, Labels, Task
from cmim.task_view import Reading, View
from tasks.depth.root_mean_square import root_mean_square
from tasks.heads.aspp import full_size
from tasks.picture_files import picture_of
from tasks.pictures import colour_depth, depth_with_scale, write_exact, write_picture


def fill_depth(metres: Tensor, samples: list) -> None:
    """``pred_depth_map`` ``(1, H, W)``, as mmseg's ``DepthEstimator`` fills it."""
    for sample, full in full_size(metres, samples):
        sample.set_data(dict(pred_depth_map=PixelData(data=full)))


def depth_bins(
    depth: Tensor, bins: int = 16, nearest: float = 0.5, farthest: float = 10.0
) -> Tensor:
    """Quantise depth into bins of equal width in log-depth.

    Args:
        depth: Metres, any shape; not finite or not positive means unknown.
        bins: Number of bins.
        nearest: Lower end of the first bin in metres; nearer pixels belong to it.
        farthest: Upper end of the last bin in metres; farther pixels belong to it.

    Returns:
        int64 bins 0 to ``bins - 1``, ``IGNORED`` (-1) where the depth is unknown.

    Examples:
        >>> depth_bins(torch.tensor([0.0, 0.5, 2.4, 99.0]), bins=2).tolist()
        [-1, 0, 1, 1]
    """
    known = torch.isfinite(depth) & (depth > 0)
    log_depth = torch.where(known, depth, torch.ones_like(depth)).log()
    low, high = math.log(nearest), math.log(farthest)
    index = ((log_depth - low) / (high - low) * bins).floor().clamp_(0, bins - 1)
    return torch.where(known, index, torch.full_like(index, IGNORED)).long()


def _restore(metres: Tensor, mirrored: bool, zoom: float) -> Tensor:
    """Twice as large, a scene looks twice as near (as AugmentFrame trains it)."""
    return metres * zoom


def _random(generator: torch.Generator, size: tuple[int, int], head: Mapping) -> Tensor:
    return 0.5 + 9 * torch.rand((1, *size), generator=generator)


def _write(sample: Any, base: Path, *_: Any) -> Path:
    metres = sample.pred_depth_map.data[0].cpu().numpy()
    millimetres = np.rint(metres.astype(np.float64) * 1000)
    # 0 stands for unknown, which no prediction is.
    fits = ((millimetres >= 1) & (millimetres <= 65535)).all()
    write_exact(f"{base}_depth", metres, millimetres, fits, np.uint16)
    return write_picture(f"{base}_depth_colour.png", depth_with_scale(metres))


def _draw(sample: Any, *_: Any) -> Drawing:
    """Truth and prediction between the nearest and the farthest known depth."""
    metres = sample.pred_depth_map.data[0].cpu().numpy()
    truth = metres
    if given := "gt_depth_map" in sample:
        truth = sample.gt_depth_map.data[0].cpu().numpy()
    known = truth[np.isfinite(truth) & (truth > 0)]
    ends = (float(known.min()), float(known.max())) if known.size else (None, None)
    return Drawing(
        image=picture_of(sample),
        truth=colour_depth(truth, *ends) if given else None,
        prediction=colour_depth(metres, *ends),
    )


def _view(sample: Any, *_: Any) -> View:
    """In millimetres; what 16 bits do not hold is unknown, as 0 is."""
    metres = sample.pred_depth_map.data[0].cpu().numpy().astype(np.float64)
    millimetres = np.rint(np.nan_to_num(metres * 1000, posinf=0, neginf=0))
    known = (millimetres >= 1) & (millimetres <= 65535)
    return View(
        title="Depth",
        note="red is near, blue is far",
        picture=colour_depth(np.where(known, metres, 0)),
        values=np.where(known, millimetres, 0).astype(np.uint16)[..., None],
        readings=(Reading("", unit="m", scale=1e-3, digits=2, unknown=0),),
    )


TASK = Task(
    name="depth",
    truth="gt_depth_map",
    prediction="pred_depth_map",
    fill=fill_depth,
    figure="rmse",
    higher_is_better=False,
    regression=True,
    labels=Labels("depth", "depth in metres", "depth", depth_bins),
    synthesize=_random,
    write=_write,
    restore=_restore,
    files=("_depth.png", "_depth.npy", "_depth_colour.png"),
    draw=_draw,
    view=_view,
    of_sums=root_mean_square,
)
