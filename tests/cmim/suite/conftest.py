"""A suite of eight runs, carried out by the local engine without an interruption."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from suite_cases import SMALL, suite_words, write_suite


@pytest.fixture(scope="session")
def done(tmp_path_factory, rooms) -> Path:
    """Two methods, two losses, two seeds; what other ways must come to, too."""
    home = tmp_path_factory.mktemp("done")
    suite = write_suite(home, SMALL)
    subprocess.run(suite_words(suite, rooms, home), check=True)
    return home
