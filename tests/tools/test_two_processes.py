"""Training and evaluation on two processes."""

import json
import socket
import subprocess
import sys

import pytest
from test_train_and_resume import ROOT, TINY, environment

pytestmark = [pytest.mark.ddp, pytest.mark.full]


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def run(*words: str) -> subprocess.CompletedProcess:
    done = subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def test_two_processes_train_one_model_and_measure_every_image_once(rooms, tmp_path):
    options = ("--cfg-options", f"data_root={rooms}", *TINY)
    launch = ("-m", "torch.distributed.run", "--nproc_per_node=2", "--master_port")
    config = "configs/rooms_seg_bireal.py"
    run(
        *(*launch, free_port(), "tools/train.py", config, "--launcher", "pytorch"),
        *("--work-dir", str(tmp_path), *options, "train_cfg.max_iters=6"),
    )
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["world_size"] == 2
    together = json.loads((tmp_path / "metrics.json").read_text())["test"]
    figures = tmp_path / "alone.json"
    checkpoint = str(tmp_path / "last.pth")
    run("tools/test.py", config, checkpoint, "--json", str(figures), *options)
    alone = json.loads(figures.read_text())
    for name in ("mIoU", "pixel_accuracy", "mean_accuracy", "images"):
        assert together[name] == alone[name]
