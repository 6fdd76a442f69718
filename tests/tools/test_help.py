"""Every tool teaches its use."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = sorted((ROOT / "tools").glob("*.py"))


@pytest.mark.parametrize("tool", TOOLS, ids=lambda p: p.stem)
def test_help_has_an_example(tool):
    done = subprocess.run(
        [sys.executable, f"tools/{tool.name}", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0
    assert "example" in done.stdout.lower()
    assert f"python tools/{tool.name}" in done.stdout


@pytest.mark.parametrize("tool", TOOLS, ids=lambda p: p.stem)
def test_unknown_option_fails(tool):
    done = subprocess.run(
        [sys.executable, f"tools/{tool.name}", "--no-such-option"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
