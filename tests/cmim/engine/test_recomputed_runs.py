"""Trainings that compute activations again end in the bits of those that keep them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from test_training_runs import CONFIG, TINY

from cmim.checkpoint import read_checkpoint
from cmim.engine.config import load_config
from cmim.engine.train import prepare_training, train

pytestmark = pytest.mark.full  # Whole trainings.
# Taps within stages, and a loss of the binarizers themselves.
CASES = {
    "latent": {"model.partner": "latent", "model.taps": "every_binarizer"},
    "auxiliary": {"model.model.backbone.method": "bonn"},
}


def weights(rooms: Path, folder: Path, **options) -> dict[str, torch.Tensor]:
    config = load_config(CONFIG, {**TINY, "data_root": str(rooms), **options})
    train(prepare_training(config, work_dir=str(folder)), final_test=False)
    return read_checkpoint(folder / "last.pth")["state_dict"]


@pytest.mark.parametrize("case", CASES)
def test_a_run_ends_in_the_same_bits(case, rooms, tmp_path):
    kept = weights(rooms, tmp_path / "kept", **CASES[case])
    again = {**CASES[case], "model.model.backbone.recompute_stages": True}
    found = weights(rooms, tmp_path / "again", **again)
    assert found.keys() == kept.keys()
    different = [n for n, v in kept.items() if not torch.equal(found[n], v)]
    assert not different


def test_frozen_stages_end_as_they_began(rooms, tmp_path):
    frozen = {"model.model.backbone.frozen_stages": 2}
    ends = weights(rooms, tmp_path / "four", **frozen)
    # The seed gives the same start to a run of one step.
    begins = weights(rooms, tmp_path / "one", **frozen, **{"train_cfg.max_iters": 1})
    moved = {
        name.split(".")[1] for name, v in ends.items() if not v.equal(begins[name])
    }
    assert "backbone.conv1.weight" in ends
    assert not moved & {"conv1", "bn1", "layer1", "layer2"}
    assert {"layer3", "layer4"} <= moved
