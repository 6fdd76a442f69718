"""Checkpoints and exported files with a fault each: one sentence names the culprit."""

from __future__ import annotations

import json
import os
from pathlib import Path

import fault_checkpoints as faults
import pytest
from fault_run import CONFIG, assert_said, options, run

UNREADABLE = [
    "a loop",
    "a dangling link",
    "a folder",
    "a pipe",
    "a device",
    "a long name",
    "below a file",
    "a space",
]
QUICK = {"half", "bit at 0.5", "a foreign pickle", "NaN in a weight", "identity a list"}


@pytest.fixture(scope="module")
def trained(rooms, tmp_path_factory) -> Path:
    """Two steps of training."""
    folder = tmp_path_factory.mktemp("trained")
    done = run("train", CONFIG, "--work-dir", folder, *options(data_root=rooms))
    assert done.status == 0, done
    return folder / "last.pth"


@pytest.fixture
def copy_of(trained, tmp_path):
    """A copy of the checkpoint with changed bytes."""

    def made(change) -> Path:
        path = tmp_path / "last.pth"
        path.write_bytes(change(trained.read_bytes()))
        return path

    return made


def marked(names, quick=QUICK):
    slow = pytest.mark.slow
    return [name if name in quick else pytest.param(name, marks=slow) for name in names]


@pytest.mark.parametrize("name", marked(faults.REFUSED))
def test_a_checkpoint_with_a_fault_is_refused(name, copy_of, rooms):
    change, words = faults.REFUSED[name]
    path = copy_of(change)
    outcome = run("test", CONFIG, path, *options(data_root=rooms))
    assert_said(outcome, "last.pth", *words.split("|"))


@pytest.mark.slow
@pytest.mark.parametrize("name", UNREADABLE)
def test_a_path_without_a_checkpoint_is_refused(name, tmp_path, rooms):
    path, words = faults.unreadable(tmp_path)[name]
    (tmp_path / "last.pth").write_bytes(b"no")
    outcome = run("test", CONFIG, path, *options(data_root=rooms))
    assert_said(outcome, words)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_checkpoint_that_may_not_be_read_is_refused(copy_of, rooms):
    path = copy_of(bytes)
    path.chmod(0)
    outcome = run("test", CONFIG, path, *options(data_root=rooms))
    assert_said(outcome, "last.pth", "Permission denied")


def figures(path, rooms, tmp_path) -> dict:
    target = tmp_path / "figures.json"
    words = ("--json", target, *options(data_root=rooms))
    outcome = run("test", CONFIG, path, *words)
    assert outcome.status == 0, outcome
    found = json.loads(target.read_text())
    return {k: v for k, v in found.items() if "second" not in k}


@pytest.mark.parametrize("name", marked(faults.ACCEPTED, {"bare state"}))
def test_what_changes_no_weight_changes_no_figure(
    name, copy_of, trained, rooms, tmp_path
):
    path = copy_of(faults.ACCEPTED[name])
    assert figures(path, rooms, tmp_path) == figures(trained, rooms, tmp_path)


# Words of the tools that read checkpoints beside tools/test.py: {path} and {out}.
TOOLS = {
    "predict": "{config} {path} {picture} --out {out}",
    "export": "{config} {path} --out {out}/net.npz --size 48 64",
    "analyze": "{config} {path} --images 4 --no-tsne --out {out}",
    "bench": "latency {config} {path} --size 48 64",
    "train": "{config} --work-dir {folder} --resume",
}
# Of the model that the run in the same folder has, and whole: it goes on from there.
RESUMED = {"identity", "classes", "other", "another head", "another task", "a class"}


@pytest.mark.slow
@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("name", faults.REFUSED)
def test_every_tool_refuses_a_checkpoint_with_a_fault(
    tool, name, copy_of, rooms, tmp_path
):
    change, words = faults.REFUSED[name]
    path = copy_of(change)
    given = TOOLS[tool].format(
        config=CONFIG,
        path=path,
        out=tmp_path / "out",
        folder=tmp_path,
        picture=next((rooms / "images").iterdir()),
    )
    outcome = run(tool, *given.split(), *options(data_root=rooms))
    if tool == "train":
        assert_said(outcome, "last.pth")
    else:
        assert_said(outcome, "last.pth", *words.split("|"))
    assert not [p for p in (tmp_path / "out").rglob("*") if p.is_file()]
