"""Gradients of the task's and of the added losses of a checkpoint, stage by stage."""

from __future__ import annotations

import copy
import math
import statistics
from collections.abc import Callable, Iterator
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmseg.registry import MODELS
from torch import Tensor, nn
from tqdm import tqdm

from cmim.analysis.gradient_agreement import (
    Agreement,
    agreement,
    loss_gradients,
    split_losses,
)
from cmim.checkpoint import CheckpointError, load_strictly, read_checkpoint
from cmim.engine.config import ConfigError

WHOLE = "encoder"


def compare_gradients(
    config: Config,
    checkpoint: str,
    teacher: str | None,
    batches: int,
    label: str,
    seed: int = 0,
) -> dict[str, Any]:
    """Whether the added losses pull the encoder's weights against the task.

    On training batches, in training mode, at the weights of the checkpoint.

    Args:
        config: With the CMIM wrapper and a partner.
        checkpoint: Trained with it, projections included.
        teacher: Checkpoint of the twin, in place of the config's, or None.
        batches: How many training batches to average over.
        label: What the progress bar says.
        seed: Seed of batches and sampled pixels.

    Returns:
        For each stage, and ``encoder`` for all its weights, ``cosine`` (mean),
        ``cosine_spread`` (standard deviation over batches), ``task_cosine`` (of the
        task's gradients of successive batches, the yardstick: noise of the batches
        alone keeps it below 1) and ``ratio`` (length of the added gradient over the
        task's); or ``skipped``, a sentence why, where the checkpoint was trained
        without these losses.

    Raises:
        ConfigError: The config adds no losses.
    """
    model = _build(config, teacher)
    try:
        state = read_checkpoint(checkpoint)["state_dict"]
        load_strictly(model, state, checkpoint)
    except CheckpointError:
        return dict(
            skipped="trained without the losses of this config; set model.partner (and "
            "the like) to what it was trained with"
        )
    model.to(get_device()).train()
    groups = _stages(model.model.backbone)
    found: dict[str, list[Agreement]] = {name: [] for name in groups}
    repeated: dict[str, list[Agreement]] = {name: [] for name in groups}
    before: dict[str, Tensor] = {}
    with torch.random.fork_rng():
        bar = tqdm(total=batches, unit="batch", desc=f"{label} gradients")
        for number, batch in enumerate(_batches(config, batches, seed)):
            torch.manual_seed(seed + number)
            ready = model.data_preprocessor(batch, training=True)
            task, added = split_losses(model(**ready, mode="loss"))
            ours, theirs = (loss_gradients(loss, groups) for loss in (task, added))
            for name in groups:
                found[name].append(agreement(ours[name], theirs[name]))
                if before:
                    repeated[name].append(agreement(before[name], ours[name]))
            before = ours
            bar.update()
        bar.close()
    return {name: _summary(found[name], repeated[name]) for name in groups}


def _build(config: Config, teacher: str | None) -> BaseModel:
    model = copy.deepcopy(config.model)
    if "partner" not in model:
        raise ConfigError(
            f"'{config.filename}' has no CMIM wrapper, so that there are no added "
            "losses; leave --gradients out"
        )
    if teacher is not None:
        model["teacher"] = teacher
    if model["model"]["backbone"].get("init_from"):
        model["model"]["backbone"]["init_from"] = None
    return MODELS.build(model)


def _batches(config: Config, count: int, seed: int) -> Iterator[dict]:
    """The first training batches; again from the start if there are fewer."""
    options = {
        key: value
        for key, value in config.train_dataloader.items()
        if key not in ("persistent_workers", "prefetch_factor")
    }
    loader = Runner.build_dataloader({**options, "num_workers": 0}, seed=seed)
    done = 0
    while done < count:
        for batch in loader:
            yield batch
            done += 1
            if done == count:
                return
        if not done:
            raise ConfigError("the training split has not a single whole batch")


def _stages(backbone: nn.Module) -> dict[str, list[nn.Parameter]]:
    """Weights by the encoder's parts, and all of them."""
    groups: dict[str, list[nn.Parameter]] = {WHOLE: []}
    for name, parameter in backbone.named_parameters():
        if parameter.requires_grad:
            groups.setdefault(name.split(".")[0], []).append(parameter)
            groups[WHOLE].append(parameter)
    return groups


def _summary(
    found: list[Agreement], repeated: list[Agreement]
) -> dict[str, float | None]:
    # Stages behind the deepest tap, say, an added loss never reaches.
    cosines = [each.cosine for each in found if math.isfinite(each.cosine)]
    yardstick = [each.cosine for each in repeated if math.isfinite(each.cosine)]
    return dict(
        cosine=_rounded(cosines, statistics.fmean),
        cosine_spread=_rounded(cosines, statistics.pstdev),
        task_cosine=_rounded(yardstick, statistics.fmean),
        ratio=_rounded([each.ratio for each in found], statistics.fmean),
    )


def _rounded(
    values: list[float], average: Callable[[list[float]], float]
) -> float | None:
    known = [value for value in values if math.isfinite(value)]
    return round(average(known), 4) if known else None
