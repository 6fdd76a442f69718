"""Nothing leaves the machine unasked: no name is looked up, nothing is connected to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Python runs this at its start: every process, workers and children included, notes
# what it asks of the network. Sockets between processes of this machine have no name.
SPY = """
import os, sys
def _note(event, arguments, path=os.environ["CMIM_LOOKUPS"]):
    if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr",
                 "socket.connect", "socket.sendto", "urllib.Request"):
        if event == "socket.connect" and isinstance(arguments[1], (str, bytes)):
            return
        with open(path, "a") as file:
            file.write(event + " " + repr(arguments) + "\\n")
sys.addaudithook(_note)
"""
TINY = [
    "model.model.backbone.base_channels=8",
    "model.model.decode_head.in_channels=64",
    "model.model.decode_head.channels=8",
    "model.queue=40",
    "model.pixels=4",
    "train_dataloader.batch_size=2",
    "train_dataloader.dataset.pipeline.1.base_size=(48,64)",
    "train_dataloader.dataset.pipeline.1.crop_size=(32,48)",
    "val_dataloader.dataset.pipeline.1.size=(48,64)",
    "test_dataloader.dataset.pipeline.1.size=(48,64)",
    "train_cfg.max_iters=2",
    "train_cfg.val_interval=2",
]
# How a config is used outside of pytest, which switches some senders off itself.
IMPORTS = [
    "import cmim.engine; import albumentations",
    "import tasks; import albumentations",
    "import cmim; import openvino; import openvino.tools.ovc; import nncf; "
    "from nncf.telemetry import telemetry; telemetry.send_event('a', 'b', 'c')",
]


class Watched:
    """Runs Python with the spy."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "lookups"
        self.home = folder / "home"
        self.home.mkdir()
        (folder / "sitecustomize.py").write_text(SPY)
        # Where continuous integration is named, the senders keep quiet by themselves.
        named = ("CI", "PYTEST_CURRENT_TEST", "NO_ALBUMENTATIONS_UPDATE")
        kept = {k: v for k, v in os.environ.items() if k not in named}
        self.environment = kept | dict(
            PYTHONPATH=f"{folder}{os.pathsep}{ROOT}",
            CMIM_LOOKUPS=str(self.log),
            HOME=str(self.home),
            OMP_NUM_THREADS="1",
        )

    def run(self, *words: object) -> None:
        done = subprocess.run(
            [sys.executable, *map(str, words)],
            cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=600,
        )  # fmt: skip
        assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
        assert self.lookups == [], words

    @property
    def lookups(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def watched(tmp_path) -> Watched:
    return Watched(tmp_path)


def test_the_spy_sees_a_lookup(watched):
    code = "import socket\ntry: socket.getaddrinfo('localhost', 1)\nexcept OSError: 0"
    with pytest.raises(AssertionError):
        watched.run("-c", code)
    assert "localhost" in watched.lookups[0]


@pytest.mark.full
@pytest.mark.parametrize(
    "code",
    [
        pytest.param(c, marks=[pytest.mark.slow] * (k < 2))
        for k, c in enumerate(IMPORTS)
    ],
)
def test_imports_look_up_nothing(code, watched):
    for package in ("openvino", "nncf"):
        if package in code:
            pytest.importorskip(package)
    watched.run("-c", code)
    # Consents and identities of senders would lie there.
    assert not [p for p in watched.home.rglob("*") if "intel" in str(p).lower()]


@pytest.mark.slow
def test_a_whole_experiment_looks_up_nothing(rooms, watched, tmp_path):
    pytest.importorskip("openvino")
    pytest.importorskip("nncf")
    config, work = "configs/rooms_seg_bireal.py", tmp_path / "run"
    options = ["--cfg-options", f"data_root={rooms}", *TINY]
    watched.run("tools/train.py", config, "--work-dir", work, *options)
    last = work / "last.pth"
    picture = sorted((rooms / "images").iterdir())[0]
    pictures = tmp_path / "pictures"
    watched.run("tools/test.py", config, last, *options)
    watched.run("tools/predict.py", config, last, picture, "--out", pictures, *options)
    for name, more in (
        ("a.xml", ["--verify"]),
        ("b.xml", ["--rest", "int8"]),
        ("c.npz", []),
        ("d.onnx", []),
    ):
        out = tmp_path / name
        watched.run("tools/export.py", config, last, "--out", out, *more, *options)
    watched.run("tools/test.py", config, tmp_path / "b.xml", *options)
    figures = tmp_path / "analysis.json"
    words = ["--images", "4", "--no-tsne", "--out", tmp_path, "--json", figures]
    watched.run("tools/analyze.py", config, last, *words, *options)
    assert json.loads(figures.read_text())
    watched.run("tools/summary.py", config, *options)
    watched.run("tools/methods.py", "--no-picture", "bireal")
    assert watched.lookups == []
