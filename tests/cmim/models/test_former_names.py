"""Checkpoint and config of the version that said ``regularizers`` are still read."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from mmengine.hooks import EMAHook
from mmseg.registry import MODELS

import cmim.added_losses
from cmim.added_losses import LipschitzLoss
from cmim.checkpoint import load_strictly, load_task_weights, read_checkpoint
from cmim.engine.config import load_config
from cmim.engine.continuation import check_continuation
from cmim.models import CMIM, full_precision_twin

# Written by commit 7e4f1a9.
BEFORE = Path(__file__).parent / "before_added_losses"


@pytest.fixture
def config(tmp_path):
    shutil.copy(BEFORE / "config.txt", tmp_path / "config.py")
    config = load_config(tmp_path / "config.py")
    twin = MODELS.build(full_precision_twin(config.model.model))
    torch.save({"state_dict": twin.state_dict()}, tmp_path / "twin.pth")
    config.model.teacher = str(tmp_path / "twin.pth")
    return config


@pytest.mark.parametrize("way", ["reader", "plain"])
def test_option_type_and_state_of_before_are_read(config, way):
    model = MODELS.build(config.model)
    assert type(model.added_losses["lipschitz"]) is LipschitzLoss
    if way == "reader":
        state = read_checkpoint(BEFORE / "last.pth")["state_dict"]
        load_strictly(model, state, "last.pth")
    else:
        state = torch.load(BEFORE / "last.pth", weights_only=True)["state_dict"]
        assert "regularizers.lipschitz.scale" in state
        model.load_state_dict(state)
    assert model.added_losses["lipschitz"].scale.tolist() == [0.25, 0.75]
    assert "added_losses.lipschitz.scale" in model.state_dict()
    load_task_weights(MODELS.build(config.model.model), BEFORE / "last.pth")


@pytest.mark.full
def test_a_run_started_with_the_former_option_is_continued(config):
    before = config.pretty_text
    config.model.added_losses = config.model.pop("regularizers")
    assert "added_losses" in config.pretty_text
    check_continuation(config, before, "last.pth")


def test_both_names_at_once_are_refused(config):
    with pytest.raises(ValueError, match="regularizers is the former name"):
        CMIM(config.model.model, added_losses="lckd", regularizers="lckd")


def test_the_averages_of_before_are_continued(config, tmp_path):
    """EMA exchanges them with the weights of the same names when it goes on."""
    state = torch.load(BEFORE / "last.pth", weights_only=True)["state_dict"]
    averages = {f"module.{key}": value.clone() for key, value in state.items()}
    averages["module.regularizers.lipschitz.scale"] += 1
    saved = dict(state_dict=state, ema_state_dict=averages, message_hub={})
    torch.save(saved, tmp_path / "averaged.pth")
    read = read_checkpoint(tmp_path / "averaged.pth")
    hook = EMAHook()
    hook._swap_ema_state_dict(read)
    scale = read["state_dict"]["added_losses.lipschitz.scale"]
    assert scale.tolist() == [1.25, 1.75]
    model = MODELS.build(config.model)
    load_strictly(model, read["state_dict"], "averaged.pth")


@pytest.mark.parametrize(
    ("former", "today"),
    [
        ("cmim.regularizers.LipschitzLoss", "LipschitzLoss"),
        ("cmim.regularizers.lipschitz.LipschitzLoss", "LipschitzLoss"),
        ("cmim.regularizers.distributional.DistributionalLoss", "DistributionalLoss"),
        ("cmim.regularizers.Regularizer", "AddedLoss"),
        ("cmim.regularizers.regularizer.Regularizer", "AddedLoss"),
    ],
)
def test_former_places_of_the_losses_are_found(former, today):
    assert MODELS.get(former) is getattr(cmim.added_losses, today)
