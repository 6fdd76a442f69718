"""docs/new_dataset.md, followed literally on a data set the project has never seen."""

import ast
import json
import re

import cv2
import numpy as np
import pytest
from mmseg.registry import DATASETS
from tutorial_page import copy_project, read_page, run_commands

from cmim.engine.config import load_config

PAGE = read_page("new_dataset.md")
SEG, DEPTH, JOINT, JOINED = (
    f"configs/streets_{task}_bireal.py" for task in ("seg", "depth", "joint", "joined")
)
PICTURES = "configs/flowers_bireal.py"
SIZES = [(60, 90), (97, 64), (72, 72)]


def write_streets(home):
    """Pictures as the page describes them: several sizes, brightness is the class."""
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


def write_flowers(home):
    """Two classes of pictures in folders, six of each in either split."""
    random = np.random.default_rng(5)
    for split in ("train", "test"):
        for name, light in (("daisy", 200), ("rose", 60)):
            folder = home / "data/flowers" / split / name
            folder.mkdir(parents=True)
            for number in range(6):
                image = light + random.integers(0, 50, (120, 130, 3))
                cv2.imwrite(str(folder / f"{number}.jpg"), image)


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """Where the page was followed, and what its commands said."""
    home = copy_project(tmp_path_factory.mktemp("streets"), PAGE.files)
    write_streets(home)
    write_flowers(home)
    return home, run_commands(home, PAGE.commands)


@pytest.mark.parametrize(
    ("name", "most"), [(SEG, 15), (PICTURES, 15), (DEPTH, 22), (JOINT, 29)]
)
def test_a_config_has_few_lines_and_no_python_of_its_own(name, most):
    text = PAGE.files[name]
    # Docstring and imports count; blank lines and comments do not.
    lines = [x for x in text.splitlines() if x.strip() and x.strip()[0] != "#"]
    assert len(lines) <= most
    assert max(map(len, text.splitlines())) <= 88
    assert "import *" not in text
    kinds = {type(node) for node in ast.walk(ast.parse(text))}
    assert not kinds & {ast.FunctionDef, ast.ClassDef, ast.Lambda, ast.For}


def test_the_page_uses_every_tool_on_its_configs():
    used = [re.search(r"tools/(\w+)\.py (\S+)", c).groups() for c in PAGE.commands]
    tools = ("check_data", "train", "test", "predict")
    assert used == [
        *((tool, SEG) for tool in tools),
        *((tool, DEPTH) for tool in tools[:2]),
        *((tool, JOINT) for tool in tools[:2]),
        *((tool, JOINED) for tool in tools[:2]),
        *((tool, PICTURES) for tool in ("check_data", "train", "predict")),
    ]


@pytest.mark.slow
def test_segmentation(followed):
    home, said = followed
    assert "train: 6 pictures of 72x72 to 97x64 (rows x columns)" in said
    # The name that tools/predict.py prints; the other pictures are tools/test.py's.
    assert re.search(r"^predictions/0101_overlay\.png$", said, re.MULTILINE)
    record = home / "work_dirs/streets_seg_bireal/metrics.json"
    figures = json.loads(record.read_text())
    assert figures["steps"] == 3
    assert figures["test"]["images"] == 6
    assert 0 <= figures["test"]["mIoU"] <= 100
    for number in range(101, 107):
        truth = home / f"data/streets/labels/val/{number:04d}.png"
        guess = cv2.imread(str(home / f"predictions/{number:04d}_labels.png"), -1)
        # The size of the ground truth, whatever the network was fed.
        assert guess.shape == cv2.imread(str(truth), -1).shape
        assert set(np.unique(guess)) <= {1, 2, 3}


@pytest.mark.slow
def test_depth(followed):
    home, said = followed
    assert "depth 2.00 to 3.00 m" in said
    record = home / "work_dirs/streets_depth_bireal/metrics.json"
    figures = json.loads(record.read_text())
    assert figures["steps"] == 3
    assert 0 < figures["test"]["rmse"] < 80


@pytest.mark.slow
def test_both_at_once(followed):
    home, _ = followed
    record = home / "work_dirs/streets_joint_bireal/metrics.json"
    figures = json.loads(record.read_text())["test"]
    assert 0 <= figures["seg/mIoU"] <= 100
    assert 0 < figures["depth/rmse"] < 80
    assert not any(name.startswith("normals") for name in figures)


@pytest.mark.slow
def test_pictures_with_one_label(followed):
    home, said = followed
    assert "train: 12 pictures of 120x130" in said
    assert "daisy 50.0 %, rose 50.0 % of the pictures" in said
    assert re.search(r"^data/flowers/test/rose/0\.jpg: .*daisy \d", said, re.MULTILINE)
    figures = json.loads((home / "work_dirs/flowers_bireal/metrics.json").read_text())
    assert figures["test"]["images"] == 12


@pytest.mark.slow
def test_labels_of_one_and_depth_of_another(followed):
    home, said = followed
    labels, depth = said.split("train part 0: ")[1].split("train part 1: ")
    assert "road" in labels
    assert "depth" not in labels
    assert "depth 2.00 to 3.00 m" in depth.split("test: ")[0]
    assert "road" not in depth.split("test: ")[0]
    record = home / "work_dirs/streets_joined_bireal/metrics.json"
    figures = json.loads(record.read_text())["test"]
    assert {"seg/mIoU", "depth/rmse"} <= set(figures)


@pytest.mark.slow
@pytest.mark.parametrize("name", [SEG, DEPTH])
def test_other_places_and_parts_that_the_page_names(followed, name):
    home, _ = followed
    assert "`..configs._base_`" in PAGE.text
    text = PAGE.files[name].replace("._base_", "..configs._base_")
    for part in ("folder", "own_seg", "depth_model"):
        text = text.replace(f"{part}_small", part)
    text = text.replace("schedule_small", "schedule_full")
    updates = re.findall(r"`(\w+_dataloader\.[^`]*\))`", PAGE.text)
    assert len(updates) == 3
    text += "\n".join(updates)
    (home / "mine").mkdir(exist_ok=True)
    (home / "mine" / "large.py").write_text(text)
    root = str(home / "data/streets")
    config = load_config(home / "mine/large.py", {"data_root": root})
    assert config.test_dataloader.batch_size == 8
    assert config.train_dataloader.dataset.pipeline[0].cache
    for loader in (config.train_dataloader, config.test_dataloader):
        dataset = DATASETS.build(loader.dataset)
        assert len(dataset) == 6
        shape = dataset[0]["inputs"].shape
        train = loader is config.train_dataloader
        assert shape == (3, 416, 544) if train else min(shape[1:]) == 480


@pytest.mark.slow
def test_the_network_learns_the_streets(followed):
    """Brightness is the class: 60 steps are enough to see it."""
    home, _ = followed
    options = "train_cfg.max_iters=60 train_dataloader.batch_size=8"
    command = f"python tools/train.py {SEG} --work-dir learnt --cfg-options {options}"
    run_commands(home, [command])
    figures = json.loads((home / "learnt/metrics.json").read_text())
    # Always the largest class would be 45 % of the pixels and a third of that mIoU.
    assert figures["test"]["pixel_accuracy"] > 75
    assert figures["test"]["mIoU"] > 60
