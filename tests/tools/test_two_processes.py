"""Training and evaluation on two processes."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from test_train_and_resume import ROOT, TINY, environment

pytestmark = [pytest.mark.ddp, pytest.mark.full]
CONFIG = "configs/rooms_seg_bireal.py"
# What each process draws by itself is left out: anchors and dropout.
SAME = ["model.partner=none", "model.model.decode_head.dropout_ratio=0.0"]
SAME += ["train_cfg.val_interval=1000", "default_hooks.checkpoint.best=None"]


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


def train(processes: int, folder: Path, rooms: Path, *options: str) -> dict:
    """A training without its test; its record, figures, losses and checkpoint."""
    launch = ("-m", "torch.distributed.run", "--nproc_per_node", str(processes))
    several = processes > 1
    run(
        *((*launch, "--master_port", free_port()) if several else ()),
        *("tools/train.py", CONFIG, "--work-dir", str(folder), "--no-test"),
        *(("--launcher", "pytorch") if several else ()),
        *("--cfg-options", f"data_root={rooms}", *TINY, *SAME, *options),
    )
    names = ("run", "metrics", "trace")
    found = {name: json.loads((folder / f"{name}.json").read_text()) for name in names}
    return {**found, "checkpoint": torch.load(folder / "last.pth", weights_only=True)}


def compare(rooms: Path, folder: Path, *options: str) -> tuple[dict, dict]:
    """One process with a batch of four, and two with two each."""
    alone = train(1, folder / "alone", rooms, *options, "train_dataloader.batch_size=4")
    both = train(2, folder / "both", rooms, *options, "train_dataloader.batch_size=2")
    losses = [found["trace"]["loss"] for found in (alone, both)]
    apart = max(abs(a - b) for a, b in zip(*losses, strict=True))
    assert apart < 1e-5, losses
    return alone, both


def test_two_processes_train_one_model_and_measure_every_image_once(rooms, tmp_path):
    options = ("--cfg-options", f"data_root={rooms}", *TINY)
    launch = ("-m", "torch.distributed.run", "--nproc_per_node=2", "--master_port")
    run(
        *(*launch, free_port(), "tools/train.py", CONFIG, "--launcher", "pytorch"),
        *("--work-dir", str(tmp_path), *options, "train_cfg.max_iters=6"),
    )
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["world_size"] == 2
    together = json.loads((tmp_path / "metrics.json").read_text())["test"]
    figures = tmp_path / "alone.json"
    checkpoint = str(tmp_path / "last.pth")
    run("tools/test.py", CONFIG, checkpoint, "--json", str(figures), *options)
    alone = json.loads(figures.read_text())
    for name in ("mIoU", "pixel_accuracy", "mean_accuracy", "images"):
        assert together[name] == alone[name]


@pytest.mark.slow
def test_two_processes_have_the_losses_of_the_joined_batch(rooms, tmp_path):
    alone, both = compare(rooms, tmp_path, "train_cfg.max_iters=6")
    assert len(both["trace"]["loss"]) == 6
    # The learning rate belongs to the batch of all: it is not scaled.
    rates = [
        found["checkpoint"]["optimizer"]["param_groups"][0]["lr"]
        for found in (alone, both)
    ]
    assert rates[0] == rates[1] > 0
    for name, value in alone["checkpoint"]["state_dict"].items():
        theirs = both["checkpoint"]["state_dict"][name]
        torch.testing.assert_close(theirs, value, rtol=1e-3, atol=1e-3, msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["bireal", "fp"])
def test_over_fifty_steps(rooms, tmp_path, method, capsys):
    options = ["train_cfg.max_iters=50", f"model.model.backbone.method={method}"]
    # Adam divides by the gradient's own size, and makes steps of what is but rounding;
    # at a larger rate training magnifies it as well (docs/start.md has figures).
    options += ["optim_wrapper.optimizer.type=SGD", "optim_wrapper.optimizer.lr=0.02"]
    found = compare(rooms, tmp_path, *options)
    losses = found[0]["trace"]["loss"]
    assert losses[0] - losses[-1] > 0.1
    speeds = [each["metrics"]["images_per_second"] for each in found]
    with capsys.disabled():
        print(f"\n{method}: {speeds[0]} images/s alone, {speeds[1]} of two processes")


@pytest.mark.slow
@pytest.mark.parametrize("rank", ["0", "1"])
def test_a_rank_that_stays_alone_says_so_within_half_a_minute(rooms, tmp_path, rank):
    place = dict(MASTER_ADDR="127.0.0.1", MASTER_PORT=free_port(), WORLD_SIZE="2")
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "tools/train.py", CONFIG, "--launcher", "pytorch",
         "--work-dir", str(tmp_path), "--cfg-options", f"data_root={rooms}", *TINY],
        cwd=ROOT,
        env={**os.environ, **environment(), **place, "RANK": rank, "LOCAL_RANK": rank},
        capture_output=True,
        text=True,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: rank {rank} of 2 processes has waited 15 s")
    assert len(done.stderr.splitlines()) == 1
    # Half a minute, and what starting Python takes longer on a busy machine.
    assert time.monotonic() - begun < 45
