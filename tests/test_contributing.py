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


@pytest.fixture(scope="module")
def followed(tmp_path_factory) -> Path:
    """A copy of the project with every file that the page tells to write."""
    home = tmp_path_factory.mktemp("project")
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "cmim", home / "cmim", ignore=ignore)
    blocks = BLOCK.findall((ROOT / "CONTRIBUTING.md").read_text())
    assert len(blocks) == 2
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
