"""docs/convert.md, followed literally in a folder outside of the project."""

import ast
import os
import re
import shutil
import subprocess
import sys

import pytest
from tutorial_page import ROOT, RUN, read_page

PAGE = read_page("convert.md")
CONFIG = "mine/my_rooms.py"


@pytest.fixture(scope="module")
def said(tmp_path_factory) -> str:
    """What the commands of the page said, in a folder that holds its files alone."""
    home = tmp_path_factory.mktemp("elsewhere")
    shutil.copytree(ROOT / "configs", home / "mine")
    for name, text in PAGE.files.items():
        (home / name).write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", RUN, *PAGE.commands],
        cwd=home,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def test_the_config_has_at_most_15_lines():
    text = PAGE.files[CONFIG]
    docstring = ast.get_docstring(ast.parse(text), clean=False)
    lines = [line for line in text.replace(docstring, "").splitlines() if line.strip()]
    assert len(lines) <= 15


@pytest.mark.slow
def test_it_is_trained_tested_and_exported(said):
    assert "6 of 7 layers are binary" in said
    of_torch, of_export = re.findall(r"^mIoU +([\d.]+)", said, re.MULTILINE)[-2:]
    assert abs(float(of_torch) - float(of_export)) < 0.5
    assert "6 binary layers" in said
