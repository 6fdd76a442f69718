"""The networks whose training steps are compared: partners, teachers, methods."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.model import BaseModel
from mmseg.registry import MODELS

from cmim.engine.config import task_model_config
from cmim.models import full_precision_twin

# Ways to have a teacher, by the options of the wrapper. A cache that holds every
# picture is what an epoch behind the first one finds.
TEACHERS: dict[str, dict[str, Any]] = {
    "none": dict(partner="none"),
    "teacher": {},
    "half": dict(teacher_resolution=0.5),
    "cached": dict(teacher_cache=True),
}


def build_variants(config: Config, partners: Sequence[str]) -> dict[str, BaseModel]:
    """The config's model with each partner, from the same seed.

    The teacher of ``'teacher'`` is an untrained twin, which costs what a trained one
    does.
    """
    return _build(config, {name: dict(partner=name) for name in partners}, None)


def build_teachers(config: Config) -> dict[str, BaseModel]:
    """The config's model with each way to have its teacher, from the same seed.

    The teacher is an untrained one of the config's ``teacher_model``, or a twin.
    """
    wrapper = config.model if "model" in config.model else {}
    ways = {name: {"partner": "teacher", **way} for name, way in TEACHERS.items()}
    return _build(config, ways, wrapper.get("teacher_model"))


def _build(
    config: Config, variants: Mapping[str, dict], teacher_model: dict | None
) -> dict[str, BaseModel]:
    task = task_model_config(config)
    wrapper = dict(config.model) if "model" in config.model else dict(type="CMIM")
    models = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "teacher.pth"
        teacher = MODELS.build(teacher_model or full_precision_twin(task))
        torch.save({"state_dict": teacher.state_dict()}, path)
        for name, options in variants.items():
            torch.manual_seed(0)
            common = dict(model=task, teacher=str(path), teacher_model=teacher_model)
            model = MODELS.build({**wrapper, **common, **options})
            models[name] = model.to(get_device()).train()
    return models


def build_methods(config: Config, methods: Sequence[str]) -> dict[str, BaseModel]:
    """The config's model with each method and no contrastive loss, from the same seed.

    Schedules stand at their start; RBNN's rotations fall into the warm-up.
    """
    models = {}
    for method in methods:
        task = copy.deepcopy(task_model_config(config))
        task["backbone"]["method"] = method
        torch.manual_seed(0)
        model = MODELS.build(dict(type="CMIM", model=task, partner="none"))
        models[method] = model.to(get_device()).train()
    return models
