"""A joint model from its config to an exported file, its sample and its figures."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("openvino")

import numpy as np
import torch
from mmseg.registry import MODELS

from cmim.engine.config import load_config, task_model_config
from cmim.engine.evaluate import evaluate, load_task_model
from cmim.export.network import export_network

pytestmark = pytest.mark.full  # Whole runs of tools.

CONFIG = Path(__file__).resolve().parents[3] / "configs/nyud_joint_bireal_small.py"
TINY = {"model.model.backbone.base_channels": 8} | {
    f"model.model.heads.{task}.{name}": value
    for task in ("seg", "depth", "normals")
    for name, value in (("in_channels", 64), ("channels", 8))
}


def test_it_is_written_checked_and_evaluated(rooms, tmp_path):
    size = {"test_dataloader.dataset.pipeline.2.size": (48, 64)}
    loader = {"test_dataloader.num_workers": 0}
    loader["test_dataloader.persistent_workers"] = False
    config = load_config(CONFIG, {**TINY, **size, **loader, "data_root": str(rooms)})
    torch.manual_seed(0)
    model = MODELS.build(task_model_config(config))
    checkpoint, out = tmp_path / "last.pth", tmp_path / "joint.xml"
    torch.save(dict(state_dict=model.state_dict()), checkpoint)
    sample = tmp_path / "sample.npz"
    found = export_network(config, str(checkpoint), out, verify=True, sample=sample)
    assert found["wrong"] == 0
    assert found["packed"] == len(found["verified"]) == 16
    stored = np.load(sample)
    assert sorted(stored) == ["image", "output_depth", "output_normals", "output_seg"]
    assert stored["image"].shape == (48, 64, 3)
    assert stored["output_normals"].shape == (1, 3, 6, 8)
    figures = [evaluate(load_task_model(config, p), config) for p in (checkpoint, out)]
    assert figures[0].keys() == figures[1].keys()
    for name in ("seg/pixel_accuracy", "depth/rmse", "normals/mean_angle"):
        assert figures[1][name] == pytest.approx(figures[0][name], rel=0.02, abs=0.5)
