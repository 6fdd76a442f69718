"""The engine for Slurm with commands that only write down what they are asked."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from suite_cases import run_named

from cmim.engine.config_error import ConfigError
from cmim.suite.engines import make_engine, slurm
from cmim.suite.engines.engine import INTERRUPTED
from cmim.suite.work import write_job

SBATCH = """#!/bin/sh
echo "$@" >>"$FAKE/asked"
test -f "$FAKE/refused" && { echo "sbatch: error: invalid partition" >&2; exit 1; }
env >"$FAKE/environment"
echo "7;cluster"
"""
SQUEUE = """#!/bin/sh
case "$*" in
  *--name=*) cat "$FAKE/queued" 2>/dev/null ;;
  *) cat "$FAKE/states" ;;
esac
"""
SCANCEL = """#!/bin/sh
echo "$@" >>"$FAKE/cancelled"
"""


@pytest.fixture
def cluster(tmp_path, monkeypatch) -> Path:
    """A folder with the commands, what they were asked, and what they answer."""
    folder = tmp_path / "cluster"
    folder.mkdir()
    commands = {"sbatch": SBATCH, "squeue": SQUEUE, "scancel": SCANCEL}
    for name, text in commands.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("FAKE", str(folder))
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(slurm, "PAUSE", 0)
    (folder / "states").write_text("7 RUNNING\n")
    return folder


@pytest.fixture
def job(tmp_path) -> Path:
    return write_job(run_named("a"), tmp_path / "results", tmp_path / "work", None)


def started(job: Path, **options: object) -> slurm.SlurmEngine:
    engine = make_engine(dict(name="slurm", **options))
    engine.start("a", job, threads=2)
    return engine


def test_a_job_asks_for_what_a_run_needs(cluster, job, monkeypatch):
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "9")
    started(job, partition="gpu", minutes=30, gpus=1, account="lab")
    words = (cluster / "asked").read_text().split()
    for word in (
        *("--time=30", "--partition=gpu", "--account=lab", "--gpus-per-task=1"),
        *("--cpus-per-task=2", "--ntasks=1", f"--output={job.parent / 'output.log'}"),
    ):
        assert word in words
    script = Path(words[-1]).read_text()
    assert f"-m cmim.suite.work {job} >>{job.parent / 'output.log'} 2>&1" in script
    env = (cluster / "environment").read_text().splitlines()
    assert "OMP_NUM_THREADS=1" in env
    assert "SLURM_CPUS_PER_TASK=9" not in env


@pytest.mark.parametrize(
    ("state", "status", "expected"),
    [
        ("RUNNING", None, {}),
        ("RUNNING", "0", {"a": 0}),
        ("COMPLETED", "0", {"a": 0}),
        ("FAILED", "73", {"a": 73}),
        # Whose signal it was is not known while the job is ending.
        ("COMPLETING", "143", {}),
        ("TIMEOUT", "143", {"a": INTERRUPTED}),
        ("TIMEOUT", None, {"a": INTERRUPTED}),
        ("PREEMPTED", None, {"a": INTERRUPTED}),
        ("NODE_FAIL", None, {"a": INTERRUPTED}),
        ("FAILED", "137", {"a": -9}),
        # The file may be on its way through a network's file system.
        ("OUT_OF_MEMORY", None, {}),
        ("COMPLETED", "", {}),
    ],
)
def test_how_a_job_has_ended(cluster, job, state, status, expected):
    engine = started(job)
    (cluster / "states").write_text(f"6 FAILED\n7 {state}\n")
    if status is not None:
        (job.parent / "slurm_status.7").write_text(status)
    assert engine.ended() == expected
    if expected:
        assert engine.ended() == {}


def test_a_job_that_nobody_knows_any_more_was_killed(cluster, job, monkeypatch):
    engine = started(job)
    (cluster / "states").write_text("")
    assert engine.ended() == {}
    monkeypatch.setattr(slurm, "PATIENCE", -1)
    assert engine.ended() == {"a": -9}


def test_a_controller_that_does_not_answer_is_waited_for(cluster, job, monkeypatch):
    monkeypatch.setattr(slurm, "PATIENCE", -1)
    engine = started(job)
    (cluster / "states").unlink()
    assert engine.ended() == {}
    assert engine.ended() == {}


def test_what_waits_in_the_queue_does_not_run(cluster, job):
    engine = started(job)
    assert not engine.running("a")
    engine.ended()
    assert engine.running("a")


def test_a_job_that_is_queued_already_is_found_again(cluster, job):
    (cluster / "queued").write_text("7\n")
    engine = started(job)
    assert not (cluster / "asked").exists()
    (job.parent / "slurm_status.7").write_text("0\n")
    assert engine.ended() == {"a": 0}


def test_jobs_are_cancelled_at_the_end(cluster, job):
    engine = started(job)
    engine.stop()
    engine.stop()
    assert (cluster / "cancelled").read_text() == "7\n"


def test_what_slurm_refuses_is_said(cluster, job):
    (cluster / "refused").touch()
    with pytest.raises(ConfigError, match="does not take the job: error: invalid part"):
        started(job)


def test_a_machine_without_slurm_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="needs sbatch, squeue, scancel"):
        make_engine("slurm")


def test_a_run_of_a_cpu_sees_no_gpu(cluster, job, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    content = json.loads(job.read_text())
    for device, seen in (("cpu", ""), ("cuda", "0")):
        content["run"]["device"] = device
        job.write_text(json.dumps(content))
        started(job)
        env = (cluster / "environment").read_text().splitlines()
        assert f"CUDA_VISIBLE_DEVICES={seen}" in env
