"""Configs of few milliseconds: what they spend, and their files against integers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmseg.registry import MODELS

from cmim.analysis.cost import layer_costs, totals
from cmim.deploy.network_core import NetworkCore
from cmim.engine.config import load_config, task_model_config

FOLDER = Path(__file__).parents[3] / "configs"
FAST = sorted(path.stem for path in FOLDER.glob("nyud_*_fast_small.py"))
# Another output stride and width, as the base's docstring says.
STRIDE_32 = {"model.model.backbone.output_stride": 32}
WIDE = {
    "model.model.backbone.base_channels": 64,
    "model.model.heads.seg.in_channels": (128, 512),
    "model.model.heads.depth.in_channels": (128, 512),
}
OPTIONS = [{}, STRIDE_32, WIDE, {**WIDE, **STRIDE_32}]
IDS = ["stride16", "stride32", "wide", "wide32"]


def task_model(name: str, options: dict | None = None) -> torch.nn.Module:
    config = load_config(FOLDER / f"{name}.py", options)
    torch.manual_seed(0)
    return MODELS.build(task_model_config(config)).eval()


def test_there_is_one_for_each_task_and_method():
    expected = [f"{t}_{m}" for t in ("depth", "joint", "seg") for m in
                ("bireal", "reactnet")] + ["joint_quicknet"]  # fmt: skip
    assert sorted(f"nyud_{name}_fast_small" for name in expected) == FAST


@pytest.mark.parametrize("name", FAST)
@torch.no_grad()
def test_each_task_gets_features_of_stride_8(name):
    core = NetworkCore(task_model(name))
    found = core(torch.zeros(1, 3, 64, 96))
    channels = {"seg": [40], "depth": [1], "joint": [40, 1]}[name.split("_")[1]]
    outputs = found if isinstance(found, tuple) else (found,)
    assert [tuple(out.shape) for out in outputs] == [(1, c, 8, 12) for c in channels]


@pytest.mark.parametrize("options", OPTIONS, ids=IDS)
@pytest.mark.parametrize("name", ["nyud_joint_bireal_fast_small"])
@torch.no_grad()
def test_few_operations(name, options):
    """At 480x640; the full-size ResNet-18 at output stride 8 has 65e9."""
    core = NetworkCore(task_model(name, options))
    spent = totals(layer_costs(core, torch.zeros(1, 3, 480, 640)))
    # By hand: a 3x3 convolution at 1/4 with 48 channels, the unit of what follows.
    unit = 120 * 160 * 48**2 * 9
    # A stage halves the places and doubles the channels; at its stride it has 3.5
    # units, and one of stride 16 instead of 32 four times that.
    stages = 4 + 3.5 + 3.5 + 3.5 * (1 if "output_stride" in str(options) else 4)
    wide = (64 / 48) ** 2 if "base_channels" in str(options) else 1
    assert spent["bops"] == pytest.approx(stages * wide * unit)
    assert spent["flops"] < 1.1e9


@pytest.mark.full
@pytest.mark.parametrize(
    ("name", "options"),
    [*((name, {}) for name in FAST), ("nyud_joint_quicknet_fast_small", STRIDE_32)],
)
def test_files_are_exact(name, options, tmp_path):
    pytest.importorskip("openvino")
    from cmim.export.network import export_network

    config = load_config(FOLDER / f"{name}.py", options)
    model = task_model(name, options)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    torch.save({"state_dict": model.state_dict()}, tmp_path / "last.pth")
    figures = export_network(
        config, tmp_path / "last.pth", tmp_path / "a.xml", (48, 64), verify=True
    )
    assert figures["packed"] == len(figures["verified"]) == 16
    assert figures["wrong"] == 0
