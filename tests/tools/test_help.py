"""Every tool teaches its use."""

import subprocess
import sys

import pytest
from in_process import ROOT, run_in_process

TOOLS = sorted(path.stem for path in (ROOT / "tools").glob("*.py"))
every_tool = pytest.mark.parametrize("tool", TOOLS)


@every_tool
def test_help_has_an_example(tool):
    done = run_in_process(tool, "--help")
    assert done.returncode == 0
    assert "example" in done.stdout.lower()
    assert f"python tools/{tool}.py" in done.stdout


@every_tool
def test_unknown_option_fails(tool):
    done = run_in_process(tool, "--no-such-option")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


# One tool for all, since they start alike; the others in `make slow`.
@pytest.mark.parametrize(
    "tool",
    [
        pytest.param(t, marks=pytest.mark.full if t == "train" else pytest.mark.slow)
        for t in TOOLS
    ],
)
def test_a_process_of_its_own_says_the_same(tool, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    done = subprocess.run(
        [sys.executable, f"tools/{tool}.py", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    expected = run_in_process(tool, "--help")
    assert (done.returncode, done.stdout, done.stderr) == (0, expected.stdout, "")
