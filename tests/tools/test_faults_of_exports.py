"""Exported files with a fault each, and exports that cannot be made."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import fault_exports as faults
import numpy as np
import pytest
from fault_run import CONFIG, ROOT, assert_said, options, rights_of_a_user, run

from cmim.deploy.numpy_reference import load_network

pytestmark = pytest.mark.full  # Whole runs of tools.

pytest.importorskip("openvino")

QUICK = {"xml half", "bin bit at 0.5", "bin closed", "identity of other classes"}
DEPTH = "configs/rooms_depth_bireal.py"
SIZE = ("--size", 48, 64)


@pytest.fixture(autouse=True)
def tracebacks(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.fixture(scope="module")
def made(rooms, tmp_path_factory) -> Path:
    """A checkpoint of two steps, and its exported files."""
    folder = tmp_path_factory.mktemp("made")
    chosen = options(data_root=rooms)
    assert run("train", CONFIG, "--work-dir", folder, *chosen).status == 0
    for name in ("seg.xml", "seg.npz"):
        words = (folder / "last.pth", "--out", folder / name, *SIZE, *chosen)
        done = run("export", CONFIG, *words)
        assert done.status == 0, done
    return folder


@pytest.fixture
def place(made, tmp_path) -> Path:
    for name in ("seg.xml", "seg.bin", "seg.npz", "last.pth"):
        shutil.copy(made / name, tmp_path / name)
    return tmp_path


def marked(names):
    slow = pytest.mark.slow
    return [name if name in QUICK else pytest.param(name, marks=slow) for name in names]


@pytest.mark.parametrize("name", marked(faults.OPENVINO))
def test_an_exported_file_with_a_fault_is_refused(name, place, rooms):
    change, words = faults.OPENVINO[name]
    change(place / "seg.xml")
    picture = next((rooms / "images").iterdir())
    chosen = options(data_root=rooms)
    with rights_of_a_user():
        for tool, *rest in (
            ("test",),
            ("predict", picture, "--out", place / "predictions"),
        ):
            outcome = run(tool, CONFIG, place / "seg.xml", *rest, *chosen)
            assert_said(outcome, "seg", *words.split("|"))
    assert not list((place / "predictions").glob("*"))


@pytest.mark.slow
@pytest.mark.parametrize("name", faults.RAW)
def test_a_raw_file_with_a_fault_is_refused(name, place):
    """As it is used elsewhere: one file, NumPy alone."""
    whole = load_network(place / "seg.npz")
    faults.RAW[name](place / "seg.npz")
    np.save(place / "photo.npy", np.zeros((48, 64, 3), np.uint8))
    script = ROOT / "cmim/deploy/numpy_reference.py"
    done = subprocess.run(
        [sys.executable, script, place / "seg.npz", place / "photo.npy"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    if name.startswith("bit") and done.returncode == 0:
        # Some bits of a zip file (dates, rights) say nothing about what is in it.
        read = load_network(place / "seg.npz")
        assert read.document == whole.document
        for key, values in whole.arrays.items():
            np.testing.assert_array_equal(read.arrays[key], values)
        return
    assert done.returncode == 2, done
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


# The tool, its words ({place}: the folder of the files), what is said.
WORDS = [
    ("test", "{config} {place}/seg.npz", "seg.npz"),
    ("test", "{config} {place}/seg.bin", "seg.bin"),
    ("test", "{config} {place}/renamed.pth", "renamed.pth"),
    ("test", "{config} {place}/renamed.xml", "renamed.xml|digest"),
    ("test", "{depth} {place}/seg.xml", "seg.xml|heads"),
    ("test", "{config} {place}/last.pth --json {place}/last.pth", "--json|overwritten"),
    ("analyze", "{config} {place}/seg.xml --images 4 --no-tsne", "seg.xml"),
    ("train", "{config} load_from={place}/seg.xml", "seg.xml"),
    ("export", "{config} {place}/seg.xml --out {place}/b.npz", "exported already"),
    ("export", "{config} {place}/seg.npz --out {place}/b.xml", "exported already"),
    ("export", "{depth} {place}/last.pth --out {place}/b.xml", "another model"),
    (
        "export",
        "{config} {place}/last.pth --out {place}/closed/b.xml",
        "not be written",
    ),
    (
        "export",
        "{config} {place}/last.pth --out {place}/old.xml",
        "must not be written",
    ),
    (
        "export",
        "{config} {place}/last.pth --out {place}/b.npz --sample {place}/b.npz",
        "--sample|--out|overwritten",
    ),
    (
        "export",
        "{config} {place}/last.pth --out {place}/b.npz --json {place}/b.npz",
        "--json|--out|overwritten",
    ),
    (
        "export",
        "{config} {place}/last.pth --out {place}/b.npz --sample {place}/last.pth",
        "checkpoint|overwritten",
    ),
    (
        "export",
        "{config} {place}/last.pth --out {place}/b.onnx --rest int8",
        "int8",
    ),
    ("export", "{config} {place}/last.pth --out {place}/b.npz --batch x", "'x'"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("tool", "words", "expected"), WORDS)
def test_what_cannot_be_done_with_exports_is_said(tool, words, expected, place, rooms):
    shutil.copy(place / "seg.xml", place / "renamed.pth")
    shutil.copy(place / "last.pth", place / "renamed.xml")
    (place / "renamed.bin").write_bytes(b"")
    (place / "closed").mkdir(mode=0o555)
    (place / "old.xml").write_text("kept")
    (place / "old.xml").chmod(0o444)
    before = {p.name: p.read_bytes() for p in place.iterdir() if p.is_file()}
    given = words.format(config=CONFIG, depth=DEPTH, place=place).split()
    more = [word for word in given if word.startswith("load_from=")]
    given = [word for word in given if word not in more]
    with rights_of_a_user():
        outcome = run(tool, *given, *options(data_root=rooms), *more)
    assert_said(outcome, *expected.split("|"))
    files = {p.name: p.read_bytes() for p in place.iterdir() if p.is_file()}
    assert files == before


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["xml", "npz", "onnx"])
def test_an_older_file_is_replaced_by_the_same_bytes(suffix, place, rooms):
    chosen = options(data_root=rooms)
    out = place / f"new.{suffix}"
    found = []
    for old in (b"", b"older"):
        if old:
            out.write_bytes(old)
        words = (place / "last.pth", "--out", out, *SIZE, *chosen)
        assert run("export", CONFIG, *words).status == 0
        # Names in an .xml are numbered through the process; its numbers lie beside it.
        written = out.with_suffix(".bin") if suffix == "xml" else out
        found.append(written.read_bytes())
    assert found[0] == found[1]
    assert not list(place.glob(".*"))


def test_predictions_do_not_replace_the_pictures(place, rooms):
    """A folder of pictures, two of which are named as predictions are."""
    folder = place / "pictures"
    folder.mkdir()
    source = sorted((rooms / "images").iterdir())[0]
    for name in ("a.png", "a_overlay.png", "a_2_labels.png"):
        shutil.copy(source, folder / name)
    chosen = options(data_root=rooms)
    outcome = run(
        "predict", CONFIG, place / "seg.xml", folder, "--out", folder, *chosen
    )
    assert outcome.status == 0, outcome
    for name in ("a.png", "a_overlay.png", "a_2_labels.png"):
        assert (folder / name).read_bytes() == source.read_bytes()
    assert len(list(folder.iterdir())) == 3 + 6


def _methods() -> list[str]:
    from cmim.naming import factories

    return sorted(factories("cmim.methods", "METHOD"))


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["xml", "npz"])
def test_every_method_is_exported_or_refused_by_name(suffix, rooms, tmp_path):
    for method in _methods():
        # Not every method has what the contrastive loss would tap.
        changes = {
            "model.model.backbone.method": method,
            "model.partner": "none",
            "train_cfg.max_iters": 1,
        }
        chosen = options(data_root=rooms, **changes)
        folder = tmp_path / method
        done = run("train", CONFIG, "--work-dir", folder, *chosen)
        assert done.status == 0, (method, done)
        out = folder / f"net.{suffix}"
        words = (folder / "last.pth", "--out", out, "--verify", "--json")
        outcome = run("export", CONFIG, *words, folder / "a.json", *SIZE, *chosen)
        if outcome.status:
            assert_said(outcome)
            assert not out.exists()
        else:
            assert json.loads((folder / "a.json").read_text())["wrong"] == 0
