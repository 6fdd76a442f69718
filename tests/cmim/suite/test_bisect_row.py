"""make bisect: the commit that moved a row's figures is named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from suite_cases import SMALL, write_suite

ROOT = Path(__file__).resolve().parents[3]


def git(clone: Path, *words: str) -> str:
    named = ("-c", "user.name=Tests", "-c", "user.email=tests@example.com")
    return subprocess.run(
        ["git", "-C", str(clone), *named, *words],
        check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip


def commit(clone: Path, file: str, old: str, new: str) -> str:
    path = clone / file
    text = path.read_text()
    assert old in text, file
    path.write_text(text.replace(old, new, 1))
    git(clone, "commit", "-qam", f"{old} is {new}")
    return git(clone, "rev-parse", "HEAD")


@pytest.fixture
def clone(tmp_path):
    git(ROOT, "clone", "-q", str(ROOT), str(tmp_path / "clone"))
    return tmp_path / "clone"


def in_clone(clone: Path, *words: object) -> subprocess.CompletedProcess[str]:
    python = {"PYTHONPATH": str(clone), "PYTHON": sys.executable}
    return subprocess.run(
        [*map(str, words)], cwd=clone, env={**os.environ, **python},
        capture_output=True, text=True,
    )  # fmt: skip


@pytest.mark.slow
def test_the_commit_that_moved_a_figure_is_named(clone, rooms, tmp_path):
    if git(ROOT, "status", "--porcelain", "--untracked-files=no"):
        pytest.skip("the checkout has changes that no commit has")
    suite = write_suite(tmp_path, SMALL)
    results = tmp_path / "results"
    done = in_clone(
        clone, sys.executable, "tools/suite.py", suite, "--results", results,
        "--work-dir", tmp_path / "work", "--cfg-options", f"data_root={rooms}",
        "--only", "method=bireal", "loss=none", "seed=0",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (record,) = results.rglob("*.json")
    found = in_clone(clone, "tools/bisect_row.sh", record.stem, results, rooms)
    assert "nothing has moved" in found.stdout, found.stderr
    commit(clone, "cmim/functional/sign.py", '"""', '"""A remark. ')
    slope = "return approx_slope(x.abs()).mul_(grad)"
    guilty = commit(clone, "cmim/functional/sign.py", slope, slope + " * 0.9")
    commit(clone, "cmim/finite.py", '"""', '"""Another remark. ')
    found = in_clone(clone, "tools/bisect_row.sh", record.stem, results, rooms)
    assert f"{guilty} is the first bad commit" in found.stdout, found.stderr
