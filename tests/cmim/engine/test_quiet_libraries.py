"""Libraries' lines that nobody can use are silent, and only those."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from cmim.engine.quiet_libraries import (
    LINES,
    WARNINGS,
    quiet_console,
    quiet_warnings,
)

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = """
import sys
from fault_run import CONFIG, options
from cmim.commands import run_command
rooms, folder = sys.argv[1:]
run, chosen = f"{folder}/run", options(data_root=rooms)
for name, *words in (
    ("train", CONFIG, "--work-dir", run),
    ("test", CONFIG, f"{run}/last.pth"),
    ("predict", CONFIG, f"{run}/last.pth", f"{rooms}/images", "--out", folder),
    ("export", CONFIG, f"{run}/last.pth", "--out", f"{folder}/seg.xml", "--verify"),
):
    run_command(name, [*words, *chosen])
"""
# Dated lines of the run, figures, paths, and the table of an exported file's layers.
CONSOLE = (
    r"\d\d/\d\d [\d:]+ - mmengine - INFO - "
    r"(\S+: seed 0, device |Iter\(val\) |best\.pth: mIoU )"
    r"|\S+/run: BinaryResNet |test: mIoU |mIoU |\S+\.png$|layer +type +kernel"
    r"|\S+ +\w+ +[\w.]+ +[\dx]+$|verified: |the layers beside the binary ones "
    r"|\S+/seg\.xml: "
)


def heard(text: str, kind: type[Warning]) -> bool:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        quiet_warnings()
        warnings.warn(text, kind, stacklevel=1)
    return bool(found)


@pytest.mark.parametrize(("text", "kind"), WARNINGS)
def test_warnings_are_silent_by_their_words_and_kind(text, kind):
    assert not heard(f"{text} and so on", kind)
    assert heard(f"Note: {text}", kind)
    assert heard(text[:-5], kind)
    assert heard(text, RuntimeWarning)


def test_that_a_cpu_has_no_cuda_is_silent_and_its_logger_is_not():
    quiet_warnings()
    logger = logging.getLogger("torch.utils.cpp_extension")
    assert sum(type(f).__name__ == "LineFilter" for f in logger.filters) == 1
    words = ("name", logging.WARNING, "file.py", 1)
    home = logging.LogRecord(
        *words, "No CUDA runtime is found, using CUDA_HOME='%s'", ("/usr",), None
    )
    other = logging.LogRecord(*words, "ninja is missing", None, None)
    assert not logger.filter(home)
    assert logger.filter(other)


@pytest.mark.parametrize("line", LINES)
def test_news_of_the_runner_go_into_the_file_alone(line, tmp_path, capsys):
    logger = logging.Logger("run")
    logger.addHandler(logging.StreamHandler(sys.stdout))
    logger.addHandler(logging.FileHandler(tmp_path / "run.log"))
    quiet_console(logger)
    logger.info(f"{line} and so on")
    logger.warning("something else")
    assert capsys.readouterr().out == "something else\n"
    assert line in (tmp_path / "run.log").read_text()


@pytest.mark.full
def test_a_console_has_our_lines_only(rooms, tmp_path):
    """Training, testing, predicting and exporting in a process that nothing filters."""
    pytest.importorskip("openvino")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(rooms), str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'tests' / 'tools'}:{ROOT / 'tests'}"},
    )
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line]
    assert not [line for line in lines if not re.match(CONSOLE, line)]
    assert re.fullmatch(r"\d+ images in [\d.]+ s, [\d.]+ images/s\n", done.stderr)
    # Each tool ends with its figures, as the pages promise.
    starts = ("mIoU ", f"{tmp_path / 'seg.xml'}: ", "test: mIoU ")
    for start in starts:
        assert [line for line in lines if line.startswith(start)], start
    (log,) = (Path(tmp_path) / "run").rglob("2*.log")
    assert LINES[1] in log.read_text()
