"""What the step benchmark compares; nothing here is timed."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from cmim.bench.step import bench_step, format_step
from cmim.bench.step_networks import (
    TEACHERS,
    build_methods,
    build_teachers,
    build_variants,
)
from cmim.engine.config import load_config

CONFIGS = Path(__file__).parents[3] / "configs"


@pytest.fixture
def config():
    config = load_config(CONFIGS / "cifar10_resnet20_bireal.py")
    config.train_dataloader.batch_size = 2
    return config


def test_partners_share_the_task_models_weights(config):
    models = build_variants(config, ("none", "latent", "teacher"))
    states = [model.model.state_dict() for model in models.values()]
    assert [m.settings.partner for m in models.values()] == list(models)
    for state in states[1:]:
        assert all(torch.equal(state[key], value) for key, value in states[0].items())


def test_methods_are_what_was_asked_for(config):
    models = build_methods(config, ["fp", "irnet", "bireal+unbalanced"])
    kinds = [
        type(m.model.backbone.layer1[0].binarize1).__name__ for m in models.values()
    ]
    assert kinds == ["Identity", "IrActivation", "ShiftedTwoLevel"]
    assert config.model.model.backbone.method == "bireal"


def test_figures_are_relative_to_the_first(config):
    figures = bench_step(config, steps=1, methods=["bireal", "fp"])
    assert figures["batch"] == 2
    assert figures["bireal"]["overhead"] == 0
    assert figures["fp"]["ms"] > 0


def test_ways_to_have_a_teacher(config):
    models = build_teachers(config)
    teachers = {name: model.teacher for name, model in models.items()}
    assert list(teachers) == ["none", "teacher", "half", "cached"]
    assert teachers["none"] is None
    resolutions = [t.view.resolution for t in list(teachers.values())[1:]]
    assert resolutions == [None, 0.5, None]
    assert [t.cache is not None for t in list(teachers.values())[1:]] == [0, 0, 1]


@pytest.mark.full
def test_the_teacher_of_the_config_is_compared(config):
    wide = copy.deepcopy(config.model.model)
    wide.backbone.update(method="fp", base_channels=24)
    wide.head.in_channels = 96
    config.model.teacher_model = wide
    figures = bench_step(config, steps=5, teachers=True)
    lines = format_step(figures, [*TEACHERS]).splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["teacher", name] for name in TEACHERS
    ]
    network = build_teachers(config)["half"].teacher.network
    assert network.backbone.conv1.out_channels == 24
