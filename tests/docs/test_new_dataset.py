"""docs/new_dataset.md, followed literally on a data set the project has never seen."""

import ast
import json
import re

import cv2
import numpy as np
import pytest
from tutorial_page import copy_project, read_page, run_commands

PAGE = read_page("new_dataset.md")
SEG, DEPTH = "configs/streets_seg_bireal.py", "configs/streets_depth_bireal.py"
SIZES = [(60, 90), (97, 64), (72, 72)]


@pytest.fixture(scope="module")
def streets(tmp_path_factory):
    """Pictures as the page describes them: several sizes, brightness is the class."""
    home = copy_project(tmp_path_factory.mktemp("streets"), PAGE.files)
    random = np.random.default_rng(4)
    for split, first in (("train", 1), ("val", 101)):
        for number in range(first, first + 6):
            size = SIZES[number % len(SIZES)]
            labels = np.digitize(np.arange(size[1]), [20, 40]).astype(np.uint8)
            labels = np.broadcast_to(labels, size).copy()
            labels[:5] = 255
            image = np.stack([labels % 255 * 90] * 3, -1)
            image = image + random.integers(0, 30, image.shape)
            depth = (2000 + 500 * (labels % 255).astype(np.uint16)).astype(np.uint16)
            depth[:3] = 0
            arrays = dict(images=image.astype(np.uint8), labels=labels, depth=depth)
            for folder, array in arrays.items():
                suffix = "jpg" if folder == "images" else "png"
                target = home / "data/streets" / folder / split
                target.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(target / f"{number:04d}.{suffix}"), array)
    return home


@pytest.mark.parametrize("name", [SEG, DEPTH])
def test_a_config_has_at_most_25_lines_and_no_python_of_its_own(name):
    text = PAGE.files[name]
    assert len(text.splitlines()) <= 25
    assert max(map(len, text.splitlines())) <= 88
    assert "import *" not in text
    kinds = {type(node) for node in ast.walk(ast.parse(text))}
    assert not kinds & {ast.FunctionDef, ast.ClassDef, ast.Lambda, ast.For}


def test_segmentation(streets):
    commands = [line for line in PAGE.commands if SEG in line]
    assert [re.search(r"tools/(\w+)", c)[1] for c in commands] == [
        *("check_data", "train", "test", "predict")
    ]
    said = run_commands(streets, commands)
    assert "train: 6 pictures of 72x72 to 97x64 (rows x columns)" in said
    figures = json.loads(
        (streets / "work_dirs/streets_seg_bireal/metrics.json").read_text()
    )
    assert figures["steps"] == 3
    assert figures["test"]["images"] == 6
    assert 0 <= figures["test"]["mIoU"] <= 100
    # Predictions have the sizes of the ground truth.
    for number in range(101, 107):
        truth = streets / f"data/streets/labels/val/{number:04d}.png"
        guess = cv2.imread(str(streets / f"predictions/{number:04d}_labels.png"), -1)
        assert guess.shape == cv2.imread(str(truth), -1).shape
        assert set(np.unique(guess)) <= {1, 2, 3}


def test_depth(streets):
    commands = [line for line in PAGE.commands if DEPTH in line]
    assert len(commands) == 2
    said = run_commands(streets, commands)
    assert "depth 2.00 to 3.00 m" in said
    figures = json.loads(
        (streets / "work_dirs/streets_depth_bireal/metrics.json").read_text()
    )
    assert figures["steps"] == 3
    assert 0 < figures["test"]["rmse"] < 80
