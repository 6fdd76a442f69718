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
from tasks.depth import DepthHead
import tasks.depth.log_l1

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

head = DepthHead(8, 4, loss_decode=dict(type="DepthLogL1Loss"))
loss = head.loss_decode(torch.full((1, 1, 2, 2), 2.0), torch.full((1, 1, 2, 2), 2.0))
assert loss.item() == 0
"""

CHECK_TASK = """
import sys, torch
from mmengine.optim import build_optim_wrapper
from mmengine.runner import Runner
from mmseg.registry import MODELS
from cmim.engine.config import load_config

config = load_config("configs/rooms_near_bireal.py", {"data_root": sys.argv[1]})
loader = config.train_dataloader
loader.update(batch_size=2, num_workers=0, persistent_workers=False)
loader.pop("prefetch_factor")
loader.dataset.pipeline[1].update(base_size=(48, 64), crop_size=(32, 48))
batch = next(iter(Runner.build_dataloader(loader, seed=0)))
values = set(batch["data_samples"][0].gt_sem_seg.data.unique().tolist())
assert values <= {0, 1, 255}, values
model = MODELS.build(config.model)
model.init_weights()
wrapper = build_optim_wrapper(model, config.optim_wrapper)
assert torch.isfinite(model.train().train_step(batch, wrapper)["loss"])
"""


@pytest.fixture(scope="module")
def followed(tmp_path_factory) -> Path:
    """A copy of the project with every file that the page tells to write."""
    home = tmp_path_factory.mktemp("project")
    for part in ("cmim", "tasks", "configs"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / part, home / part, ignore=ignore)
    blocks = BLOCK.findall((ROOT / "CONTRIBUTING.md").read_text())
    assert len(blocks) == 5
    for name, text in blocks:
        (home / name).parent.mkdir(exist_ok=True)
        (home / name).write_text(text)
    return home


def run(home: Path, code: str, *args: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code, *args],
        cwd=home,
        env={**os.environ, "PYTHONPATH": str(home)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_method_and_loss_recipes(followed):
    run(followed, CHECK_METHOD_AND_LOSS)


def test_task_recipe(followed, rooms):
    run(followed, CHECK_TASK, str(rooms))


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
