"""tools/export.py, and test.py and predict.py on what it writes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("openvino")

import torch
from in_process import run_in_process
from mmseg.registry import MODELS

from cmim.checkpoint import structure
from cmim.engine.config import load_config, task_model_config

pytestmark = pytest.mark.full  # Whole runs of tools.

ROOT = Path(__file__).resolve().parents[2]
CONFIG = "configs/rooms_seg_bireal.py"
TINY = {
    "model.model.backbone.base_channels": 8,
    "model.model.decode_head.in_channels": 64,
    "model.model.decode_head.channels": 8,
    "model.model.decode_head.method": "bireal",
    "model.model.decode_head.binary_projection": True,
    "test_dataloader.dataset.pipeline.1.size": (48, 64),
}


@pytest.fixture(scope="module")
def options(rooms) -> list[str]:
    pairs = [f"{k}={str(v).replace(' ', '')}" for k, v in TINY.items()]
    return ["--cfg-options", f"data_root={rooms}", *pairs]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """Weights as training leaves them, though random."""
    torch.manual_seed(0)
    model = MODELS.build(task_model_config(load_config(CONFIG, TINY)))
    path = tmp_path_factory.mktemp("run") / "last.pth"
    torch.save(dict(state_dict=model.state_dict(), structure=structure(model)), path)
    return path


@pytest.fixture(scope="module")
def exported(checkpoint, options, tmp_path_factory) -> tuple[Path, dict, str]:
    out = tmp_path_factory.mktemp("exported") / "model.xml"
    figures = out.with_suffix(".json")
    done = run_in_process("export", CONFIG, checkpoint, "--out", out, "--verify",
        "--json", figures, "--sample", out.with_name("sample.npz"), *options,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return out, json.loads(figures.read_text()), done.stdout


def test_every_binary_layer_is_verified(exported):
    _, figures, printed = exported
    assert figures["packed"] == len(figures["verified"]) == 23
    assert figures["wrong"] == 0
    assert "23 binary layers" in printed
    assert "0 wrong" in printed


def test_the_file_is_small_and_its_kernels_are_listed(exported):
    out, figures, _ = exported
    on_disk = sum(out.with_suffix(s).stat().st_size for s in (".xml", ".bin"))
    assert figures["bytes"] == on_disk < figures["latent_bytes"]
    binary = [x for x in figures["layers"] if x["type"] == "BinaryConvolution"]
    assert len(binary) == 23
    assert {x["name"] for x in binary} >= {"backbone.layer1.0.conv1"}


def test_metrics_come_from_the_same_tool(exported, checkpoint, options, tmp_path):
    found = []
    for what in (checkpoint, exported[0]):
        figures = tmp_path / f"{Path(what).stem}.json"
        done = run_in_process("test", CONFIG, what, "--json", figures, *options)
        assert done.returncode == 0, done.stderr
        found.append(json.loads(figures.read_text()))
    first, second = found
    assert first["images"] == second["images"] > 0
    # Random weights: float rounding flips a few of very few pixels.
    assert abs(first["pixel_accuracy"] - second["pixel_accuracy"]) < 1


def test_pictures_are_made_from_it(exported, rooms, options, tmp_path):
    picture = sorted((rooms / "images").iterdir())[0]
    done = run_in_process(
        "predict", CONFIG, exported[0], picture, "--out", tmp_path, *options
    )
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.rglob("*.png"))


def test_the_documented_script_needs_openvino_and_numpy_only(exported, tmp_path):
    text = (ROOT / "docs" / "deploy.md").read_text()
    blocks = [part.split("```")[0] for part in text.split("```python\n")[1:]]
    (script,) = (block for block in blocks if "import openvino" in block)
    for name in ("model.xml", "model.bin", "sample.npz"):
        target = tmp_path / name.replace("model", "seg")
        target.write_bytes(exported[0].with_name(name).read_bytes())
    blocked = ("torch", "mmengine", "mmseg", "mmcv", "cv2", "cmim", "tasks")
    block = f"import sys; sys.modules.update(dict.fromkeys({blocked}))\n"
    done = subprocess.run(
        [sys.executable, "-c", block + script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "output (1, 40, 6, 8)" in done.stdout
    share = float(done.stdout.split("), ")[1].split(" %")[0])
    assert share > 95


def test_other_names_are_refused(checkpoint, options):
    done = run_in_process("export", CONFIG, checkpoint, "--out", "model.foo", *options)
    assert done.returncode != 0
    assert "model.foo" in done.stderr
    assert "Traceback" not in done.stderr
