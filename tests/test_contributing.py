"""The recipes of CONTRIBUTING.md, followed literally in a copy of the project."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"<!-- file: (\S+) -->\n```python\n(.*?)```", re.DOTALL)

CHECK_METHOD_AND_LOSS = """
import torch
from cmim.encoders import BinaryResNet
from cmim.methods import available_methods

assert "plain_ste" in available_methods()
net = BinaryResNet(base_channels=8, method=dict(name="plain_ste", clip_value=2.0))
net(torch.randn(2, 3, 64, 64))[-1].square().sum().backward()
assert net.conv1.weight.grad.abs().sum() > 0

from cmim.contrast import ContrastOptions, get_loss

x = torch.randn(2, 8, 4, 4, requires_grad=True)
build = get_loss(dict(name="hinge", margin=2.0))
value = build(8, 8, ContrastOptions(pixels=4))(x.sign() + x - x.detach(), x)
value.backward()
assert value > 0 and x.grad.abs().sum() > 0
"""

CHECK_ADDED_LOSS = """
import torch
from torch import nn

from cmim.added_losses import AddedLosses, available_added_losses
from cmim.contrast.taps import Tap
from cmim.encoders import BinaryResNet

assert "decay" in available_added_losses()
model = nn.ModuleDict(dict(backbone=BinaryResNet(base_channels=4)))
losses = AddedLosses(dict(type="decay", weight=0.5), model)
assert losses.names() == ["backbone.layer4"]
x = torch.full((1, 2, 3, 3), 2.0)
assert losses({"backbone.layer4": Tap(x, x)}, {})["cmim.loss_decay"] == 2
"""

CHECK_FORMAT_AND_BENCHMARK = """
import json
import torch
from mmseg.registry import MODELS

from cmim.commands import load_command
from cmim.engine.config import ConfigError, load_config, task_model_config
from cmim.engine.evaluate import load_task_model


def run(command, *words):
    module = load_command(command)
    module.run(module.build_parser().parse_args([str(word) for word in words]))


small = {
    "model.model.backbone.base_channels": 4,
    "model.model.decode_head.in_channels": 32,
    "model.model.decode_head.channels": 8,
}
name = "configs/rooms_seg_bireal.py"
config = load_config(name, small)
state = MODELS.build(task_model_config(config)).state_dict()
torch.save(dict(state_dict=state), "last.pth")
options = ["--cfg-options", *(f"{key}={value}" for key, value in small.items())]
where = ["--out", "seg.pt2", "--size", 32, 48, "--verify", "--json", "export.json"]
run("export", name, "last.pth", *where, *options)
figures = json.load(open("export.json"))
assert figures["format"] == "pt2" and figures["bytes"] > 1000
assert figures["difference"] < 1e-3 * figures["largest"]
assert "  .pt2: signs in float32" in load_command("export").build_parser().format_help()
try:
    load_task_model(config, "seg.pt2")
except ConfigError as error:
    assert "exported for other engines" in str(error)
else:
    raise AssertionError("an exported file was read as a checkpoint")

run("bench", "sign", "--values", 100, "--threads", 1, "--json", "sign.json")
assert set(json.load(open("sign.json"))) == {"sign", "ste_sign"}
"""


@pytest.fixture(scope="module")
def followed(tmp_path_factory) -> Path:
    """A copy of the project with every file that the page tells to write."""
    home = tmp_path_factory.mktemp("project")
    ignore = shutil.ignore_patterns("__pycache__")
    for room in ("cmim", "tasks", "configs"):
        shutil.copytree(ROOT / room, home / room, ignore=ignore)
    blocks = BLOCK.findall((ROOT / "CONTRIBUTING.md").read_text())
    assert len(blocks) == 5
    for name, text in blocks:
        (home / name).parent.mkdir(exist_ok=True)
        (home / name).write_text(text)
    return home


def run(home: Path, code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=home,
        env={**os.environ, "PYTHONPATH": str(home)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.full
def test_method_and_loss_recipes(followed):
    run(followed, CHECK_METHOD_AND_LOSS)


@pytest.mark.full
def test_added_loss_recipe(followed):
    run(followed, CHECK_ADDED_LOSS)


@pytest.mark.full
def test_format_and_benchmark_recipes(followed):
    run(followed, CHECK_FORMAT_AND_BENCHMARK)


def test_recipes_keep_the_style(followed):
    names = [n for n, _ in BLOCK.findall((ROOT / "CONTRIBUTING.md").read_text())]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "ruff", "check", "--isolated"),
            *("--select", "E,F,W", "--ignore", "F401", *names),
        ],
        cwd=followed,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def test_linked_pages_exist():
    links = re.findall(r"\]\((\S+?)\)", (ROOT / "CONTRIBUTING.md").read_text())
    assert len(links) == 2
    assert all((ROOT / link).is_file() for link in links)
