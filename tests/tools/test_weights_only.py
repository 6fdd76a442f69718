"""tools/export.py --weights-only, and what takes and refuses the file it writes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from fault_run import CONFIG, assert_said, options, run

pytestmark = pytest.mark.full  # Whole runs of tools.

SIZE = ("--size", 48, 64)


@pytest.fixture(scope="module")
def trained(rooms, tmp_path_factory) -> Path:
    """A checkpoint of two steps, and the slim one that was made of it."""
    folder = tmp_path_factory.mktemp("trained")
    chosen = options(data_root=rooms)
    assert run("train", CONFIG, "--work-dir", folder, *chosen).status == 0
    words = ("--weights-only", "--json", folder / "figures.json")
    done = run(
        *("export", CONFIG, folder / "last.pth", "--out", folder / "slim.pth"),
        *words,
        *chosen,
    )
    assert done.status == 0, done
    (folder / "said.txt").write_text(done.out)
    return folder


def test_it_is_small_and_says_so(trained):
    figures = json.loads((trained / "figures.json").read_text())
    size = (trained / "slim.pth").stat().st_size
    assert figures["bytes"] == size
    assert figures["checkpoint_bytes"] == (trained / "last.pth").stat().st_size
    assert figures["bits"] == figures["binary_weights"]
    # Names, shapes and the structure of the layers are some 60 kB of it.
    floats = figures["latent_bytes"] - 4 * figures["binary_weights"]
    assert size < figures["bits"] / 8 + floats + 100_000
    assert size < figures["latent_bytes"] / 2
    said = (trained / "said.txt").read_text()
    line = f"slim.pth: {size / 1e6:.3f} MB, checkpoint "
    assert line in said
    assert "nothing is trained from it" in said.splitlines()[-1]


def test_metrics_are_the_same(trained, rooms, tmp_path):
    found = []
    for name in ("last", "slim"):
        figures = tmp_path / f"{name}.json"
        words = (trained / f"{name}.pth", "--json", figures)
        assert run("test", CONFIG, *words, *options(data_root=rooms)).status == 0
        found.append(json.loads(figures.read_text()))
    first, second = (
        {k: v for k, v in each.items() if "second" not in k} for each in found
    )
    assert first == second
    assert first["images"] > 0


def test_predictions_are_the_same(trained, rooms, tmp_path):
    picture = sorted((rooms / "images").iterdir())[0]
    for name in ("last", "slim"):
        words = (trained / f"{name}.pth", picture, "--out", tmp_path / name)
        assert run("predict", CONFIG, *words, *options(data_root=rooms)).status == 0
    pairs = [
        (file.read_bytes(), (tmp_path / "slim" / file.relative_to(tmp_path / "last")))
        for file in (tmp_path / "last").rglob("*.png")
    ]
    assert pairs
    assert all(content == other.read_bytes() for content, other in pairs)


def test_the_same_network_is_exported(trained, rooms, tmp_path):
    for name in ("last", "slim"):
        words = (trained / f"{name}.pth", "--out", tmp_path / f"{name}.npz", *SIZE)
        done = run("export", CONFIG, *words, "--verify", *options(data_root=rooms))
        assert done.status == 0, done
        assert "0 wrong" in done.out
    with np.load(tmp_path / "last.npz") as a, np.load(tmp_path / "slim.npz") as b:
        assert sorted(a.files) == sorted(b.files)
        assert all((a[name] == b[name]).all() for name in a.files)


LATENT = "no latent weights"


def test_no_training_begins_or_goes_on_with_it(trained, rooms, tmp_path):
    slim = trained / "slim.pth"
    chosen = options(data_root=rooms, load_from=slim)
    words = ("--work-dir", tmp_path / "new")
    assert_said(run("train", CONFIG, *words, *chosen), "slim.pth", LATENT)
    chosen = options(data_root=rooms, **{"model.model.backbone.init_from": slim})
    words = ("--work-dir", tmp_path / "other")
    assert_said(run("train", CONFIG, *words, *chosen), "slim.pth", LATENT)


def export(checkpoint: Path, out: Path, rooms: Path, *words: object):
    words = (checkpoint, "--out", out, "--weights-only", *words)
    return run("export", CONFIG, *words, *options(data_root=rooms))


def test_misuse_is_said_and_loses_nothing(trained, rooms, tmp_path):
    checkpoint = tmp_path / "last.pth"
    shutil.copy(trained / "last.pth", checkpoint)
    before = checkpoint.read_bytes()
    out = export(checkpoint, checkpoint, rooms)
    assert_said(out, "last.pth", "would be overwritten")
    assert checkpoint.read_bytes() == before
    out = export(checkpoint, tmp_path / "slim.npz", rooms)
    assert_said(out, "slim.npz", "ends with .pth")
    out = export(checkpoint, tmp_path / "slim.pth", rooms, "--verify", *SIZE)
    assert_said(out, "leave --size, --verify out")
    out = export(trained / "slim.pth", tmp_path / "again.pth", rooms)
    assert_said(out, "holds signs and scales only already")
    words = (checkpoint, "--out", tmp_path / "x.pth", *options(data_root=rooms))
    assert_said(run("export", CONFIG, *words), "or give --weights-only")
    assert sorted(tmp_path.iterdir()) == [checkpoint]


def test_training_that_was_not_binary_yet_is_refused(trained, rooms, tmp_path):
    content = torch.load(trained / "last.pth", weights_only=True)
    content["meta"]["gradual_binarization"] = dict(waiting=3, layers=4, end=50)
    torch.save(content, tmp_path / "last.pth")
    out = export(tmp_path / "last.pth", tmp_path / "slim.pth", rooms)
    assert_said(out, "3 of 4 layers were not fully binary", "train it to its end first")
    assert not (tmp_path / "slim.pth").exists()


def test_another_task_is_refused(trained, rooms):
    words = (trained / "slim.pth", *options(data_root=rooms))
    out = run("test", "configs/rooms_depth_bireal.py", *words)
    assert_said(out, "slim.pth", "of another model")
