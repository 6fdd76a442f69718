"""The command-line tools of data preparation, and the memory they take."""

import json
import subprocess
import sys
from pathlib import Path

import h5py
import pytest
from in_process import run_in_process

from tasks.datasets.rooms.frames import write_rooms

ROOT = Path(__file__).resolve().parents[3]
MAT, SPLITS, MAPPING = (
    "nyu_depth_v2_labeled.mat",
    "splits.mat",
    "classMapping40.mat",
)

MEASURE = """
import sys
from pathlib import Path
from tasks.datasets.prepare_nyud import prepare_nyud
raw = Path(sys.argv[1])
def peak():
    # getrusage would count the process that started this one, too.
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if "VmHWM" in line) / 1024
before = peak()
prepare_nyud(*(raw / name for name in sys.argv[2:]), raw / "out", progress=False)
print(peak() - before)
"""


@pytest.mark.full
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    # 30 frames of 480 x 640 pixels are 83 MB once unpacked.
    write_rooms(tmp_path, 30, (16, 16), seed=0, progress=False)
    with h5py.File(tmp_path / MAT, "r+") as file:
        for key, value in (("images", 90), ("depths", 2.5), ("labels", 17)):
            kind, planes = file[key].dtype, file[key].shape[1:-2]
            del file[key]
            file.create_dataset(
                key,
                (30, *planes, 640, 480),
                kind,
                chunks=(1, *planes, 640, 480),
                compression="gzip",
                fillvalue=value,
            )
    command = [sys.executable, "-c", MEASURE, str(tmp_path), MAT, SPLITS, MAPPING]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 40


@pytest.mark.full
def test_tools_make_and_prepare_rooms(tmp_path: Path) -> None:
    raw, out, figures = tmp_path / "raw", tmp_path / "out", tmp_path / "a.json"
    options = ("--frames", 8, "--size", 24, 32, "--json", figures)
    done = run_in_process("make_rooms", "--out", raw, *options)
    assert done.returncode == 0, done.stderr
    assert json.loads(figures.read_text())["frames"] == 8
    assert "8 frames of 24 x 32 pixels" in done.stdout
    options = ("--mat", raw / MAT, "--out", out, "--json", figures)
    done = run_in_process("prepare_nyud", *options)
    assert done.returncode == 0, done.stderr
    assert json.loads(figures.read_text())["written"] == 8
    assert "8 frames (4 train, 4 test), 8 written" in done.stdout
    done = run_in_process("prepare_nyud", "--verify", "--out", out)
    assert done.returncode == 0, done.stderr
    assert "already complete, verified" in done.stdout


def test_tools_report_errors_on_one_line(tmp_path: Path) -> None:
    done = run_in_process("prepare_nyud", "--mat", tmp_path / MAT)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {tmp_path / MAPPING}: no such")
    options = ("--out", tmp_path / "rooms", "--frames", 3)
    done = run_in_process("make_rooms", *options)
    assert done.returncode == 2
    assert "error: 3 frames" in done.stderr
