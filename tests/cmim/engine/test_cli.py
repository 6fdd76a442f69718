"""What a user reads when a tool fails."""

from __future__ import annotations

import errno
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from cmim.encoders import BinaryVGGSmall
from cmim.engine.cli import run_tool

ROOT = Path(__file__).resolve().parents[3]
# A tool that needs no torch.
SHELL_TOOL = (
    "from cmim.engine.run_tool import run_tool\ndef main():\n {code}\nrun_tool(main)"
)


def fail(error: Exception):
    raise error


def tool(code: str, stdout: Path | None = None, **variables: str):
    with open(stdout or os.devnull, "w") as file:
        return subprocess.run(
            [sys.executable, "-c", SHELL_TOOL.format(code=code)],
            cwd=ROOT,
            stdout=file,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **variables},
        )


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (lambda: BinaryVGGSmall(depth=20), "BinaryVGGSmall has no option 'depth'; it"),
        (lambda: fail(ValueError("two\n  lines")), "error: two lines"),
        (lambda: fail(KeyError()), "error: KeyError"),
        (
            lambda: fail(ValueError("Original Traceback ...\nDataError: no such file")),
            "error: no such file",
        ),
    ],
)
def test_an_error_is_one_sentence(raised, said, capsys):
    with pytest.raises(SystemExit) as stopped:
        run_tool(raised)
    assert stopped.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert said in lines[0]


def unpack() -> None:
    _, _ = []


def claim() -> None:
    assert not ROOT


@pytest.mark.parametrize(
    ("defect", "said"),
    [
        (lambda: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda: [][1], "IndexError: list index out of range"),
        (lambda: {}["meta"], "KeyError: 'meta'"),
        (lambda: ROOT.meta, "AttributeError: "),
        (lambda: unknown, "NameError: name 'unknown'"),  # noqa: F821
        (lambda: compile("(", "x", "exec"), "SyntaxError: "),
        (lambda: np.concatenate([]), "the data set has no pictures (need at least one"),
        (lambda: torch.zeros(2) @ torch.zeros(3), "RuntimeError: "),
        (lambda: cv2.resize(np.zeros((0, 0), np.uint8), (1, 1)), "error: OpenCV"),
        (unpack, "ValueError: not enough values to unpack"),
        (claim, "AssertionError"),
    ],
)
def test_a_defect_is_one_sentence_that_names_the_file_of_its_traceback(
    defect, said, capsys, tmp_path, monkeypatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(SystemExit) as stopped:
        run_tool(defect)
    assert stopped.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    file = Path(re.search(r"its traceback is in (\S+)\)", line)[1])
    assert file.parent == tmp_path
    assert "Traceback (most recent call last)" in file.read_text()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "a.json"), "'a.json': no sp"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), "'/x': permission"),
        (ModuleNotFoundError("No module named 'nncf'", name="nncf"), "'cmim[int8]'"),
        (ModuleNotFoundError("No module named 'cv2'", name="cv2"), "package 'cv2' is"),
        (MemoryError(), "memory is full"),
    ],
)
def test_what_the_user_can_mend_says_what_and_how(error, said, capsys):
    with pytest.raises(SystemExit) as stopped:
        run_tool(lambda: fail(error))
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.full
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_under_the_output_is_an_error(unbuffered):
    done = tool("print(1)", stdout=Path("/dev/full"), PYTHONUNBUFFERED=unbuffered)
    assert done.returncode == 2
    assert "output" in done.stderr
    assert ": no space left on device; free space" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.full
def test_a_reader_that_has_seen_enough_is_no_error():
    words = [sys.executable, "-c", SHELL_TOOL.format(code="print('0\\n' * 100000)")]
    done = subprocess.run(
        ["bash", "-c", f"{shlex.join(words)} | head -1"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.stdout == "0\n"
    assert done.stderr == ""


@pytest.mark.full
@pytest.mark.parametrize(
    ("code", "status"),
    [("raise KeyboardInterrupt", 130), ("return 3", 3), ("return 0", 0)],
)
def test_other_ends(code, status):
    done = tool(code)
    assert (done.returncode, done.stderr) == (status, "")


@pytest.mark.full
def test_the_traceback_is_printed_where_it_is_asked_for():
    done = tool("raise ValueError('no')", CMIM_TRACEBACK="1")
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1] == "error: no"


@pytest.mark.full
def test_a_missing_package_is_one_sentence_at_every_import():
    """Also the imports at the top of the command line's own modules."""
    done = subprocess.run(
        [
            *(sys.executable, "-c"),
            "import sys, runpy; sys.modules.update(mmengine=None); "
            "sys.argv = ['tools/summary.py', 'x.py']; "
            "runpy.run_path('tools/summary.py', run_name='__main__')",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2, done.stderr
    assert "package 'mmengine' is not installed" in done.stderr
    assert len(done.stderr.splitlines()) == 1
