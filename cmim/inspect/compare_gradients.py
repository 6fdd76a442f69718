"""Gradients of the task's and of the added losses of a checkpoint, stage by stage."""

from __future__ import annotations

import copy
import math
import statistics
from collections.abc import Callable, Iterable, Iterator
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
from cmim.former_names import with_current_options
from cmim.identity import check_identity, identity_of
from cmim.stages import ENCODER, part_of, stage_names

WHOLE = "encoder"
PARTNERS = ("latent", "teacher")


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
        config: With the CMIM wrapper.
        checkpoint: Trained with it and its partner or another one, projections
            included.
        teacher: Checkpoint of the twin, in place of the config's, or None.
        batches: How many training batches to average over.
        label: What the progress bar says.
        seed: Seed of batches and sampled pixels.

    Returns:
        ``partner``, the one whose losses were found in the checkpoint, ``loss``, that
        of the config (checkpoints of some losses look alike), and ``stages``:
        for each, and ``encoder`` for all its weights, ``cosine`` (mean),
        ``cosine_spread`` (standard deviation over batches), ``task_cosine`` (of the
        task's gradients of successive batches, the yardstick: noise of the batches
        alone keeps it below 1) and ``ratio`` (length of the added gradient over the
        task's, at the weight of the loss in the config). Or ``skipped``, a sentence
        why, where the checkpoint has no such losses.

    Raises:
        ConfigError: The config adds no losses.
        ValueError: Checkpoint or teacher is of another task than the config.
    """
    if "partner" not in config.model:
        raise ConfigError(
            f"'{config.filename}' has no CMIM wrapper, so that there are no added "
            "losses; leave --gradients out"
        )
    model = _trained(config, checkpoint, teacher)
    if model is None:
        return dict(
            skipped="holds no losses that this config can add; set other taps or sizes "
            "with --cfg-options as in its training"
        )
    model.to(get_device()).train()
    bar = tqdm(
        _batches(config, batches, seed),
        total=batches,
        unit="batch",
        desc=f"{label} gradients",
    )
    loss = model.settings.loss
    return dict(
        partner=model.settings.partner,
        loss=loss["name"] if isinstance(loss, dict) else loss,
        stages=_compare_stages(model, bar, seed),
    )


def _compare_stages(
    model: BaseModel, batches: Iterable[dict], seed: int
) -> dict[str, dict[str, float | None]]:
    groups = _parts(model.model)
    found: dict[str, list[Agreement]] = {name: [] for name in groups}
    repeated: dict[str, list[Agreement]] = {name: [] for name in groups}
    before: dict[str, Tensor] = {}
    with torch.random.fork_rng():
        for number, batch in enumerate(batches):
            torch.manual_seed(seed + number)
            ready = model.data_preprocessor(batch, training=True)
            task, added = split_losses(model(**ready, mode="loss"))
            ours, theirs = (loss_gradients(loss, groups) for loss in (task, added))
            for name in groups:
                found[name].append(agreement(ours[name], theirs[name]))
                if before:
                    repeated[name].append(agreement(before[name], ours[name]))
            before = ours
    return {name: _summary(found[name], repeated[name]) for name in groups}


def _trained(config: Config, checkpoint: str, teacher: str | None) -> BaseModel | None:
    """The model with the losses that the checkpoint has the state of.

    The config's own partner comes first, then the others: so that one call compares
    checkpoints of different partners.
    """
    content = read_checkpoint(checkpoint)
    check_identity(identity_of(config), content.get("identity"), checkpoint)
    state = content["state_dict"]
    own = config.model["partner"]
    for partner in (own, *(name for name in PARTNERS if name != own)):
        options = with_current_options(copy.deepcopy(config.model))
        options["partner"] = partner
        if partner == "none" and not options.get("added_losses"):
            continue
        if teacher is not None:
            options["teacher"] = teacher
        if options["model"]["backbone"].get("init_from"):
            options["model"]["backbone"]["init_from"] = None
        try:
            model = MODELS.build(options)
            load_strictly(model, state, checkpoint)
        except CheckpointError:
            continue
        except (ValueError, FileNotFoundError):
            # Another partner may want a twin that nobody has named.
            if partner == own:
                raise
            continue
        model.check_teacher(identity_of(config))
        return model
    return None


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


def _parts(model: nn.Module) -> dict[str, list[nn.Parameter]]:
    """Weights by the encoder's parts, and all of them."""
    groups: dict[str, list[nn.Parameter]] = {WHOLE: []}
    stages = [name.removeprefix(f"{ENCODER}.") for name in stage_names(model)]
    for name, parameter in model.get_submodule(ENCODER).named_parameters():
        if parameter.requires_grad:
            groups.setdefault(part_of(name, stages), []).append(parameter)
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
