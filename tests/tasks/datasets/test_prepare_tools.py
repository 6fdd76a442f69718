"""The command-line tools of data preparation, and the memory they take."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import h5py
import pytest

import cmim.engine.run_tool
from tasks.datasets.rooms import write_rooms

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


def load_tool(name: str):
    spec = importlib.util.spec_from_file_location(
        f"tool_{name}", ROOT / "tools" / f"{name}.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_tool(monkeypatch: pytest.MonkeyPatch, name: str, *arguments: object) -> int:
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    try:
        cmim.engine.run_tool.run_tool(load_tool(name).main)
    except SystemExit as stopped:
        return stopped.code
    return 0


def test_tools_make_and_prepare_rooms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    raw, out, figures = tmp_path / "raw", tmp_path / "out", tmp_path / "a.json"
    options = ("--frames", 8, "--size", 24, 32, "--json", figures)
    assert run_tool(monkeypatch, "make_rooms", "--out", raw, *options) == 0
    assert json.loads(figures.read_text())["frames"] == 8
    assert "8 frames of 24 x 32 pixels" in capsys.readouterr().out
    options = ("--mat", raw / MAT, "--out", out, "--json", figures)
    assert run_tool(monkeypatch, "prepare_nyud", *options) == 0
    assert json.loads(figures.read_text())["written"] == 8
    assert "8 frames (4 train, 4 test), 8 written" in capsys.readouterr().out
    assert run_tool(monkeypatch, "prepare_nyud", "--verify", "--out", out) == 0
    assert "already complete, verified" in capsys.readouterr().out


def test_tools_report_errors_on_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    missing = tmp_path / MAT
    assert run_tool(monkeypatch, "prepare_nyud", "--mat", missing) == 2
    assert capsys.readouterr().err.startswith(f"error: {tmp_path / MAPPING}: no such")
    options = ("--out", tmp_path / "rooms", "--frames", 3)
    assert run_tool(monkeypatch, "make_rooms", *options) == 2
    assert "error: 3 frames" in capsys.readouterr().err
