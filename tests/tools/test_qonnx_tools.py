"""tools/export.py --out net.qonnx, and test.py and predict.py on what it writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fault_run import CONFIG, assert_said, options, run

pytest.importorskip("qonnx", reason="qonnx is not installed: pip install cmim[fpga]")

pytestmark = pytest.mark.full  # Whole runs of tools.

SIZE = ("--size", 48, 64)


@pytest.fixture(scope="module")
def trained(rooms, tmp_path_factory) -> Path:
    """A checkpoint of two steps, and the file that was made of it."""
    folder = tmp_path_factory.mktemp("trained")
    chosen = options(data_root=rooms)
    assert run("train", CONFIG, "--work-dir", folder, *chosen).status == 0
    words = ("--out", folder / "seg.qonnx", *SIZE, "--batch", 3, "--verify")
    done = run("export", CONFIG, folder / "last.pth", *words, *chosen)
    assert done.status == 0, done
    assert "16 binary layers, " in done.out
    assert " 0 wrong" in done.out
    return folder


def test_metrics_come_from_the_same_tool(trained, rooms, tmp_path):
    found = []
    for name in ("last.pth", "seg.qonnx"):
        figures = tmp_path / f"{name}.json"
        words = (trained / name, "--json", figures)
        done = run("test", CONFIG, *words, *options(data_root=rooms))
        assert done.status == 0, done
        found.append(json.loads(figures.read_text()))
    first, second = found
    assert first["images"] == second["images"] > 0
    assert abs(first["pixel_accuracy"] - second["pixel_accuracy"]) < 1


def test_pictures_are_made_from_it(trained, rooms, tmp_path):
    picture = sorted((rooms / "images").iterdir())[0]
    words = (trained / "seg.qonnx", picture, "--out", tmp_path)
    done = run("predict", CONFIG, *words, *options(data_root=rooms))
    assert done.status == 0, done
    assert list(tmp_path.rglob("*.png"))


def test_another_task_and_a_damaged_file_are_refused(trained, rooms, tmp_path):
    words = (trained / "seg.qonnx", *options(data_root=rooms))
    out = run("test", "configs/rooms_depth_bireal.py", *words)
    assert_said(out, "seg.qonnx", "of another task")
    data = (trained / "seg.qonnx").read_bytes()
    half = tmp_path / "half.qonnx"
    half.write_bytes(data[: len(data) // 2])
    out = run("test", CONFIG, half, *options(data_root=rooms))
    assert_said(out, "half.qonnx", "digest")
