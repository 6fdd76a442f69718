"""What the step benchmark compares; nothing here is timed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cmim.bench.step import bench_step, build_methods, build_variants
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
