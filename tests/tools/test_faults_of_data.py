"""Data with a fault each: one sentence that names the file, in every tool."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

import fault_data as faults
import pytest
from fault_folders import write_config, write_folders
from fault_run import assert_said, rights_of_a_user, run

pytestmark = pytest.mark.full  # Whole runs of tools.

QUICK = {
    "labels closed",
    "picture of 16 bits",
    "a folder below closed",
    "depth beyond float32",
    "list of bytes",
}


@pytest.fixture(autouse=True)
def tracebacks(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """The data set, and two steps of training on its labels and on its depth."""
    home = tmp_path_factory.mktemp("streets")
    write_folders(home)
    for kind in ("seg", "depth", "depth_png"):
        config = write_config(home, kind)
        done = run("train", config, "--work-dir", home / f"run_{kind}")
        assert done.status == 0, done
        figures = home / f"{kind}.json"
        last = home / f"run_{kind}/last.pth"
        done = run("test", config, last, "--json", figures)
        assert done.status == 0, done
    return home


@pytest.fixture
def home(trained, tmp_path):
    """A copy of the data."""
    folder = tmp_path / "home"
    shutil.copytree(trained / "data", folder / "data")
    yield folder
    for place, folders, _ in os.walk(folder):
        for name in folders:
            if not os.path.islink(os.path.join(place, name)):
                os.chmod(os.path.join(place, name), 0o755)


def marked(names):
    slow = pytest.mark.slow
    return [name if name in QUICK else pytest.param(name, marks=slow) for name in names]


@pytest.mark.parametrize("name", marked(faults.REFUSED))
def test_data_with_a_fault_are_refused(name, home, trained):
    kind, more, change, words = faults.REFUSED[name]
    config = write_config(home, kind, more)
    change(home)
    last = trained / f"run_{kind}/last.pth"
    with rights_of_a_user():
        for tool, *rest in (
            ("check_data",),
            ("test", last),
            ("train", "--work-dir", home / "run"),
        ):
            outcome = run(tool, config, *rest)
            if tool == "check_data" and "problem" in outcome.out:
                assert_said(outcome, "problem")
                outcome.err = f"error: {outcome.out}".replace("\n", " ")
            assert_said(outcome, *words.split("|"))
    assert not (home / "run/last.pth").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", faults.ACCEPTED)
def test_odd_data_give_the_same_figures(name, home, trained):
    kind, more, change = faults.ACCEPTED[name]
    config = write_config(home, kind, more)
    change(home)
    done = run("check_data", config)
    assert done.status == 0, done
    done = run("train", config, "--work-dir", home / "run")
    assert done.status == 0, done
    last, figures = trained / f"run_{kind}/last.pth", home / "figures.json"
    words = ("--json", figures, "--save-predictions", home / "predictions")
    done = run("test", config, last, *words)
    assert done.status == 0, done
    assert measured(figures) == measured(trained / f"{kind}.json")
    assert len([*(home / "predictions").iterdir()]) == 8


def measured(path: Path) -> dict:
    return {k: v for k, v in json.loads(path.read_text()).items() if "second" not in k}


@pytest.mark.slow
def test_unknown_depth_is_unknown_however_it_is_said(home, trained):
    config = write_config(home, "depth")
    found = []
    for change in faults.UNKNOWN.values():
        change(home)
        figures = home / "figures.json"
        done = run("test", config, trained / "run_depth/last.pth", "--json", figures)
        assert done.status == 0, done
        found.append(measured(figures))
    assert found[0] == found[1] == found[2]
    assert found[0] != measured(trained / "depth.json")
