"""A suite of eight runs, carried out without an interruption; plans of suites."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from suite_cases import ROOMS, SMALL, suite_words, write_suite

from cmim.suite.definition import read_suite
from cmim.suite.plan import plan_suite


@pytest.fixture(scope="session")
def done(tmp_path_factory, rooms) -> Path:
    """Two methods, two losses, two seeds; what other ways must come to, too."""
    home = tmp_path_factory.mktemp("done")
    suite = write_suite(home, SMALL)
    subprocess.run(suite_words(suite, rooms, home), check=True)
    return home


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "train.txt").write_text("1\n")
    return folder


@pytest.fixture
def plan(tmp_path, data):
    def made(text: str = ROOMS, **options):
        suite = read_suite(write_suite(tmp_path, text))
        return plan_suite(suite, {"data_root": str(data), **options})

    return made
