"""A classifier through the tools: trained, tested, asked about pictures."""

import json
from pathlib import Path
from subprocess import CompletedProcess

import cv2
import numpy as np
import pytest
from in_process import run_in_process

# Sixty steps of training.
pytestmark = pytest.mark.full

CONFIG = "configs/cifar10_resnet20_bireal.py"
TINY = [
    "model.model.backbone.base_channels=8",
    "model.model.head.in_channels=32",
    "train_dataloader.batch_size=20",
    "train_cfg.max_iters=60",
    "test_dataloader.batch_size=7",
]


def run(tool: str, *words: str, options: tuple = ()) -> CompletedProcess[str]:
    return run_in_process(tool, CONFIG, *words, "--cfg-options", *TINY, *options)


@pytest.fixture(scope="module")
def trained(pictures, tmp_path_factory) -> Path:
    work_dir = tmp_path_factory.mktemp("trained")
    data = f"data_root={pictures}"
    done = run("train", "--work-dir", str(work_dir), options=(data,))
    assert done.returncode == 0, done.stderr
    return work_dir


def test_it_learns_brightness(trained):
    figures = json.loads((trained / "metrics.json").read_text())["test"]
    # Ten classes that differ in brightness alone: chance is 10 and 50.
    assert figures["top1"] >= 30
    assert figures["top5"] >= 80
    assert figures["images"] == 20


def test_tool_test_repeats_the_final_figures(trained, pictures, tmp_path):
    checkpoint, data = str(trained / "last.pth"), f"data_root={pictures}"
    target = tmp_path / "figures.json"
    done = run("test", checkpoint, "--json", str(target), options=(data,))
    assert done.returncode == 0, done.stderr
    final = json.loads((trained / "metrics.json").read_text())["test"]
    figures = json.loads(target.read_text())
    for name in ("top1", "top5", "loss", "images"):
        assert figures[name] == final[name]

    folder = str(tmp_path / "pictures")
    done = run("test", checkpoint, "--save-predictions", folder, options=(data,))
    assert done.returncode == 2
    assert "error: a classifier predicts no picture" in done.stderr


def test_tool_predict_prints_the_likeliest_classes(trained, tmp_path):
    picture = tmp_path / "odd.png"
    cv2.imwrite(str(picture), np.full((70, 51, 3), 240, np.uint8))
    done = run("predict", str(trained / "last.pth"), str(picture))
    assert done.returncode == 0, done.stderr
    name, rest = done.stdout.strip().split(": ")
    assert name == str(picture)
    words = rest.split()
    shares = [float(share) for share in words[1::3]]
    assert len(shares) == 5
    assert shares == sorted(shares, reverse=True)
    assert {"truck", "ship", "horse"} & set(words[::3])
