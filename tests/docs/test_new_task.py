"""docs/new_task.md, followed literally on generated rooms."""

import json
import subprocess
import sys

import pytest
from tutorial_page import copy_project, read_page, run_commands

PAGE = read_page("new_task.md")


@pytest.fixture(scope="module")
def followed(tmp_path_factory, rooms):
    home = copy_project(tmp_path_factory.mktemp("task"), PAGE.files)
    (home / "data/rooms").symlink_to(rooms)
    return home


def test_the_page_adds_one_folder_and_one_config():
    places = {name.rsplit("/", 1)[0] for name in PAGE.files}
    assert places == {"tasks/jumps", "configs"}
    assert len(PAGE.files) == 7


@pytest.mark.slow
def test_the_task_trains_and_is_measured(followed):
    assert len(PAGE.commands) == 3
    said = run_commands(followed, PAGE.commands)
    assert "4 passed" in said
    record = followed / "work_dirs/rooms_jumps_bireal/metrics.json"
    figures = json.loads(record.read_text())
    assert figures["steps"] == 1
    assert 0 <= figures["test"]["jumps/f1"] <= 100
    assert figures["test"]["depth/rmse"] > 0
    frames = (followed / "data/rooms/test.txt").read_text().split()
    for end in ("jumps.png", "depth_colour.png"):
        pictures = (followed / "predictions").glob(f"*_{end}")
        assert sorted(p.name for p in pictures) == [f"{f}_{end}" for f in frames]


def test_the_files_keep_the_style(followed):
    done = subprocess.run(
        [
            *(sys.executable, "-m", "ruff", "check", "--isolated"),
            *("--select", "E,F,W,B", "--ignore", "F401,F403,F405", *PAGE.files),
        ],
        cwd=followed,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
