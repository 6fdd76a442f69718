"""One run's process: what becomes a record, what does not, what is not done twice."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from suite_cases import records, run_named

from cmim.engine.config_error import ConfigError
from cmim.suite import record, work
from cmim.suite.plan import PlannedRun


def job_of(home: Path, run: PlannedRun) -> Path:
    return work.write_job(run, home / "results", home / "work", None)


@pytest.mark.parametrize("where", ["training", "record"])
def test_a_full_disk_is_not_recorded_as_a_failure(tmp_path, monkeypatch, where):
    full = OSError(errno.ENOSPC, "No space left on device", "last.pth")

    def raised(*args: object) -> None:
        raise full

    if where == "training":
        monkeypatch.setattr(work, "_train", raised)
    else:
        monkeypatch.setattr(work, "_train", lambda *args: ({}, {}, {}))
        monkeypatch.setattr("cmim.suite.record.ran", lambda *args: {"status": "ok"})
        monkeypatch.setattr("cmim.suite.record.write_record", raised)
    job = job_of(tmp_path, run_named("a"))
    assert work.main(job) == work.NO_SPACE
    assert not (tmp_path / "results").exists()


def test_another_error_is_recorded_with_its_reason(tmp_path, monkeypatch):
    def failed(*args: object) -> None:
        raise OSError(errno.EACCES, "Permission denied", "labels.png")

    monkeypatch.setattr(work, "_train", failed)
    job = job_of(tmp_path, run_named("a"))
    with pytest.raises(PermissionError):
        work.main(job)
    (record,) = records(tmp_path).values()
    assert record["status"] == "failed"
    assert "'labels.png': permission denied" in record["reason"]


@pytest.fixture
def finished(tmp_path) -> Path:
    """The job of a run that has a record and a checkpoint."""
    run = run_named("a")
    job = job_of(tmp_path, run)
    path = job.with_name("last.pth")
    torch.save({"state_dict": {"weight": torch.tensor([1.0])}}, path)
    content = {**record.failed(run, ""), "status": "ok", "test": {}}
    content["weights"] = record.weights_digest(path)
    record.write_record(tmp_path / "results", run, content)
    return job


def broken(*args: object) -> None:
    raise ConfigError("no data")


def test_what_is_finished_is_not_done_again(finished, tmp_path, monkeypatch):
    # A job that has waited in a queue while another did the run, say.
    monkeypatch.setattr(work, "_train", broken)
    assert work.main(finished) is None
    assert [found["status"] for found in records(tmp_path).values()] == ["stale"]


def test_a_repetition_that_fails_leaves_the_record(finished, tmp_path, monkeypatch):
    finished.with_name("last.pth").unlink()
    (path,) = (tmp_path / "results").rglob("*.json")
    before = path.read_bytes()
    monkeypatch.setattr(work, "_train", broken)
    with pytest.raises(ConfigError):
        work.main(finished)
    assert path.read_bytes() == before


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_run_of_a_gpu_is_refused_on_a_cpu(tmp_path):
    job = job_of(tmp_path, replace(run_named("a"), device="cuda"))
    with pytest.raises(ConfigError, match="planned for cuda, and this machine comp"):
        work.main(job)
    (found,) = records(tmp_path).values()
    assert "plan it with device='cpu'" in found["reason"]
