"""Where the time of training steps goes, with the data of a config."""

from __future__ import annotations

import statistics
import time
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.optim import build_optim_wrapper
from mmengine.runner import Runner
from tqdm import trange

from cmim.bench.joint import build_model

PARTS = ("data", "forward", "backward", "optimizer")


def time_step_parts(config: Config, steps: int, warm_up: int = 5) -> dict[str, Any]:
    """Train for some steps and time the parts of each.

    Hooks are left out: what they do (schedules, logging, clipping of latent weights) is
    no part of these times.

    Args:
        config: Of a training, with its data.
        steps: Timed ones.
        warm_up: Steps before them: workers start and caches fill.

    Returns:
        Of each of ``PARTS`` the median ``ms`` and its ``share`` of all timed seconds:
        waiting for a batch; normalisation, forward pass and losses; backward pass;
        optimizer. ``images_per_second`` of the timed steps.
    """
    loader = Runner.build_dataloader(config.train_dataloader, seed=0)
    model = build_model(config)
    optimizer = build_optim_wrapper(model, config.optim_wrapper)
    optimizer.initialize_count_status(model, 0, warm_up + steps)
    batches = iter(loader)
    times: dict[str, list[float]] = {part: [] for part in PARTS}
    images = 0
    for step in trange(warm_up + steps, unit="step", disable=None):
        marks = [_now()]
        batch = next(batches)
        marks.append(_now())
        with optimizer.optim_context(model):
            data = model.data_preprocessor(batch, True)
            loss, _ = model.parse_losses(model(**data, mode="loss"))
        marks.append(_now())
        optimizer.backward(optimizer.scale_loss(loss))
        marks.append(_now())
        optimizer.step()
        optimizer.zero_grad()
        marks.append(_now())
        if step >= warm_up:
            images += len(batch["inputs"])
            for part, begin, end in zip(PARTS, marks[:-1], marks[1:], strict=True):
                times[part].append(end - begin)
    total = sum(map(sum, times.values()))
    return dict(
        steps=steps,
        batch=images // steps,
        workers=config.train_dataloader.get("num_workers", 0),
        images_per_second=round(images / total, 1),
        **{
            part: dict(
                ms=round(1e3 * statistics.median(found), 2),
                share=round(sum(found) / total, 4),
            )
            for part, found in times.items()
        },
    )


def _now() -> float:
    if get_device() == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def format_step_parts(figures: dict[str, Any]) -> str:
    """A line for each part, and one for all."""
    lines = [
        f"{part:10s} {figures[part]['ms']:9.2f} ms a step  "
        f"{100 * figures[part]['share']:5.1f} %"
        for part in PARTS
    ]
    return "\n".join(
        [
            *lines,
            f"{figures['images_per_second']} images/s in batches of "
            f"{figures['batch']}, {figures['workers']} worker processes",
        ]
    )
