"""Time of a joint training step against the steps of single-task trainings."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.model import BaseModel
from mmseg.registry import MODELS

from cmim.bench.step import make_step, synthetic_batch
from cmim.bench.turns import time_turns
from cmim.engine.config import task_model_config
from cmim.models import full_precision_twin


def build_model(config: Config) -> BaseModel:
    """The model of a config as it trains, with an untrained twin where it has one."""
    model = dict(config.model)
    with tempfile.TemporaryDirectory() as folder:
        if model.get("teacher"):
            twin = model.get("teacher_model") or full_precision_twin(
                task_model_config(config)
            )
            path = Path(folder) / "twin.pth"
            torch.save({"state_dict": MODELS.build(twin).state_dict()}, path)
            model["teacher"] = str(path)
        return MODELS.build(model).to(get_device()).train()


def bench_joint(configs: Mapping[str, Config], rounds: int = 15) -> dict[str, Any]:
    """Time training steps of whole configs on random data; they take turns.

    Args:
        configs: Configs by name, the joint training first. Autocast is what each
            config's optimizer wrapper says.
        rounds: Timed rounds after two of warm-up.

    Returns:
        ``ms``, the median of each config, and ``share_of_sum``, the median over rounds
        of the joint step's time by the sum of the others' in the same round.
    """
    turns = {
        name: make_step(
            build_model(config), synthetic_batch(config), uses_autocast(config)
        )
        for name, config in configs.items()
    }
    times = time_turns(turns, rounds)
    shares = [joint / sum(rest) for joint, *rest in zip(*times.values(), strict=True)]
    return dict(
        rounds=rounds,
        threads=torch.get_num_threads(),
        ms={n: round(1e3 * statistics.median(t), 1) for n, t in times.items()},
        share_of_sum=round(statistics.median(shares), 3),
    )


def uses_autocast(config: Config) -> bool:
    """Whether the config trains in bfloat16."""
    kind = config.optim_wrapper.type
    return "Autocast" in (kind if isinstance(kind, str) else kind.__name__)


def format_joint(figures: Mapping[str, Any]) -> str:
    """A line for each config, and the share."""
    lines = [f"{ms:8.1f} ms a step  {name}" for name, ms in figures["ms"].items()]
    share = figures["share_of_sum"]
    return "\n".join([*lines, f"{share:.2f} of the sum of the single-task steps"])
