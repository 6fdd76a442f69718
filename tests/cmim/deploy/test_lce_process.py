"""The engine's process and files, as far as they go without the engine."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from in_process import run_in_process

from cmim.deploy.binary_layer import ExportError
from cmim.deploy.formats import export_formats
from cmim.deploy.lce import environment, worker_process
from cmim.deploy.lce.answers import Answers
from cmim.deploy.lce.exported_network import LceNetwork
from cmim.deploy.lce.worker_process import WorkerProcess
from cmim.deploy.seal import EMPTY, seal
from cmim.engine.config import load_config
from cmim.export.network import export_network

ROOT = Path(__file__).resolve().parents[3]
CONFIG = "configs/rooms_seg_bireal.py"
GREETING = """
import sys
sys.path.insert(0, {root!r})
from cmim.deploy.lce.messages import receive, send
pipe = sys.stdout.buffer
send(pipe, {{"numpy": "1"}})
message, arrays = receive(sys.stdin.buffer)
"""


def test_without_the_engine_it_is_said_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv(environment.VARIABLE, str(tmp_path / "python"))
    with pytest.raises(ImportError, match=r"names .*python, which does not exist: run"):
        environment.lce_python()
    monkeypatch.delenv(environment.VARIABLE)
    monkeypatch.setattr(environment, "FOLDER", tmp_path)
    with pytest.raises(ImportError, match=r"none is here: run make setup-lce in the"):
        environment.lce_python()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").touch()
    assert environment.lce_python() == tmp_path / "bin" / "python"


def test_tools_say_that_the_engine_is_missing(monkeypatch, tmp_path):
    monkeypatch.setenv(environment.VARIABLE, str(tmp_path / "python"))
    done = run_in_process("test", CONFIG, tmp_path / "seg.tflite")
    assert done.returncode == 2
    assert "make setup-lce" in done.stderr
    with pytest.raises(ImportError, match="make setup-lce"):
        export_network(
            load_config(ROOT / CONFIG), "absent.pth", tmp_path / "a.tflite", (32, 32)
        )


def test_a_python_without_the_engine_is_refused():
    with pytest.raises(ImportError, match=r"that can be imported \(ModuleNotFoundE"):
        WorkerProcess(Path(sys.executable))


def test_what_is_no_python_is_refused(tmp_path):
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\necho no such thing >&2\nexit 3\n")
    script.chmod(0o755)
    with pytest.raises(ImportError, match=r"ended with status 3: no such thing"):
        WorkerProcess(script)


def worker_that(does: str, monkeypatch, folder: Path) -> WorkerProcess:
    """A process that greets, is asked once, and then does something."""
    script = folder / "worker.py"
    script.write_text(GREETING.format(root=str(ROOT)) + does)
    monkeypatch.setattr(worker_process, "WORKER", script)
    return WorkerProcess(Path(sys.executable))


def test_arrays_go_there_and_back(monkeypatch, tmp_path):
    does = "send(pipe, dict(got=message), [2 * arrays[0]])\nreceive(sys.stdin.buffer)"
    worker = worker_that(does, monkeypatch, tmp_path)
    message, (found,) = worker.ask("run", [np.float32([[1, 2]])], path="a")
    assert message == dict(got=dict(do="run", path="a"))
    assert found.tolist() == [[2, 4]]
    assert worker.alive
    worker.close()
    assert not worker.alive


@pytest.mark.parametrize(
    ("does", "said"),
    [
        (
            "print('out of it', file=sys.stderr); sys.exit(4)",
            "status 4: out of it; try",
        ),
        ("import os; os.kill(os.getpid(), 9)", "signal 9; try again"),
        ("pipe.write(b'12'); pipe.flush(); sys.exit(0)", "status 0; try again"),
        ("send(pipe, dict(error='a.conv: no form'))", "^a.conv: no form$"),
        (
            "send(pipe, dict(error='ValueError: x', traceback='cmim/a.py line 3\\nx'))",
            r"failed: ValueError: x \(cmim/a.py line 3\)",
        ),
    ],
)
def test_a_process_that_fails_is_one_sentence(does, said, monkeypatch, tmp_path):
    worker = worker_that(does, monkeypatch, tmp_path)
    with pytest.raises(ExportError, match=said):
        worker.ask("run")
    worker.close()
    with pytest.raises(ExportError, match="process of Larq Compute Engine ended"):
        worker.ask("run")


def test_what_goes_wrong_in_the_process_is_its_answer(tmp_path):
    answers, gone = Answers(), str(tmp_path / "gone.npz")
    (found, arrays) = answers(dict(do="compare", program=gone), [])
    assert "does not exist" in found["error"]
    assert "traceback" not in found
    assert not arrays
    assert "traceback" in answers(dict(do="sing"), [])[0]


class Doubled:
    """Stands for the process: a file of one output, twice its input."""

    def __init__(self, notes) -> None:
        self.notes, self.asked = notes, []

    def ask(self, do, arrays=(), **values):
        self.asked.append(do)
        if do == "open":
            shapes = dict(input=[2, 4, 6, 3], outputs=[[2, 4, 6, 3]])
            return dict(notes=self.notes, **shapes), []
        return {}, [2 * arrays[0]]


def sealed_file(folder: Path) -> Path:
    path = folder / "seg.tflite"
    path.write_bytes(b"TFL3" + json.dumps({"cmim.sha256": EMPTY}).encode() + b"\0")
    seal(path)
    return path


def test_a_file_takes_any_number_of_images(tmp_path):
    worker = Doubled(dict(outputs=["cmim.seg"], identity=dict(classes=["a"])))
    network = LceNetwork(sealed_file(tmp_path), worker=worker)
    assert network.shape == (2, 3, 4, 6)
    assert (network.outputs, network.channels) == (["seg"], [3])
    assert network.identity == dict(classes=["a"])
    x = torch.randn(3, 3, 4, 6)
    (found,) = network(x)
    assert torch.equal(found, 2 * x)
    assert worker.asked == ["open", "run", "run"]
    with pytest.raises(ExportError, match=r"for images of 4x6 pixels, .* have 5x6"):
        network(torch.zeros(1, 3, 5, 6))


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda data: data.replace(b"TFL3", b"TFL4"),
        lambda data: b"",
        lambda data: data.replace(b"sha256", b"sha255"),
    ],
)
def test_a_damaged_file_is_not_handed_to_the_engine(damage, tmp_path):
    path, worker = sealed_file(tmp_path), Doubled({})
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ExportError, match=r"seg\.tflite .*digest"):
        LceNetwork(path, worker=worker)
    assert not worker.asked
    path.unlink()
    with pytest.raises(ExportError, match="does not exist"):
        LceNetwork(path, worker=worker)


def test_a_file_without_its_note_is_refused(tmp_path):
    with pytest.raises(ExportError, match="its note cmim is no JSON object"):
        LceNetwork(sealed_file(tmp_path), worker=Doubled(None))


def test_the_worker_runs_where_only_numpy_is(tmp_path):
    """Everything that it imports of the project needs NumPy alone."""
    script = tmp_path / "alone.py"
    folder = Path(worker_process.WORKER).parent
    script.write_text(
        f"import runpy, sys\nrunpy.run_path({str(folder / 'worker.py')!r})"
        "['share_modules']()\n"
        "import cmim.deploy.lce.answers\n"
        "heavy = {'torch', 'mmengine', 'openvino', 'tensorflow'} & set(sys.modules)\n"
        "sys.exit(bool(heavy))\n"
    )
    assert os.spawnl(os.P_WAIT, sys.executable, "python", "-I", str(script)) == 0


def test_the_file_belongs_to_the_formats():
    form = export_formats()["tflite"]
    assert form.read is not None
    assert list(form.rests) == ["float32"]
