"""GPUs of runs: one each by default, which nothing else of the suite uses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from suite_cases import run_named

from cmim.engine.config_error import ConfigError
from cmim.suite.engines import local, make_engine
from cmim.suite.engines.engine import environment


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.fixture
def told(monkeypatch) -> dict[str, str | None]:
    """The GPUs that each started process is told, by key."""
    found = {}

    def started(words, env, **_):
        found[Path(words[-1]).parent.name] = env.get("CUDA_VISIBLE_DEVICES")
        return SimpleNamespace(poll=lambda: None, terminate=int, wait=lambda _: 0)

    fake = SimpleNamespace(Popen=started, STDOUT=subprocess.STDOUT)
    monkeypatch.setattr(local, "subprocess", fake)
    return found


def job_of(home: Path, key: str, device: str = "cuda") -> Path:
    path = home / key / "job.json"
    path.parent.mkdir()
    path.write_text(
        json.dumps(dict(run=asdict(replace(run_named(key), device=device))))
    )
    return path


def start(engine, home: Path, keys: str, device: str = "cuda") -> None:
    for key in keys:
        engine.start(key, job_of(home, key, device), 1)


def test_each_run_has_a_gpu_of_its_own(two_gpus, told, tmp_path):
    engine = make_engine(dict(name="local", device="cuda"))
    assert engine.slots == 2
    start(engine, tmp_path, "ab")
    assert told == {"a": "0", "b": "1"}
    # The next run gets the one that has become free.
    engine._processes["a"].poll = lambda: 0
    assert engine.ended() == {"a": 0}
    start(engine, tmp_path, "c")
    assert told["c"] == "0"


def test_more_runs_than_gpus_share_them_evenly(two_gpus, told, tmp_path):
    engine = make_engine(dict(name="local", device="cuda", workers=4))
    assert engine.slots == 4
    start(engine, tmp_path, "abcd")
    assert sorted(told.values()) == ["0", "0", "1", "1"]


def test_gpus_are_those_that_the_suite_may_use(two_gpus, told, tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-5a, 3")
    start(make_engine(dict(name="local", device="cuda")), tmp_path, "ab")
    assert told == {"a": "GPU-5a", "b": "3"}


def test_runs_of_a_cpu_are_as_many_as_the_cores_and_see_none(two_gpus, told, tmp_path):
    engine = make_engine(dict(name="local"))
    assert engine.slots == len(local._own_cores())
    start(engine, tmp_path, "a", device="cpu")
    assert told == {"a": ""}


def test_without_a_gpu_a_run_is_started_and_says_so(told, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert make_engine(dict(name="local", device="cuda")).slots == 1
    assert make_engine(dict(name="local", device="mps")).slots == 1


class FakeRay:
    """Does a task at once, as a worker that Ray has given the GPU 5."""

    def __init__(self, gpus: int) -> None:
        self.gpus = gpus
        self.asked: list[dict] = []

    def init(self, **_):
        pass

    def cluster_resources(self):
        return {"CPU": 2.0, **({"GPU": float(self.gpus)} if self.gpus else {})}

    def remote(self, **asked):
        self.asked.append(asked)
        return lambda work: SimpleNamespace(remote=work)


@pytest.fixture
def ray_engine(monkeypatch):
    monkeypatch.setattr("cmim.suite.engines.ray.require_packages", lambda *_: None)

    def made(gpus: int, **options):
        fake = FakeRay(gpus)
        monkeypatch.setitem(sys.modules, "ray", fake)
        return make_engine(dict(name="ray", **options)), fake

    return made


@pytest.mark.parametrize(("device", "gpus", "seen"), [("cuda", 1, "5"), ("cpu", 0, "")])
def test_ray_is_asked_for_a_gpu_and_chooses_it(
    ray_engine, tmp_path, monkeypatch, device, gpus, seen
):
    engine, fake = ray_engine(gpus=2)
    told = []

    def done(words, env, **_):
        told.append(env["CUDA_VISIBLE_DEVICES"])
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr("cmim.suite.engines.ray.subprocess.run", done)

    def in_the_worker(job):
        env = environment(job)
        os.environ["CUDA_VISIBLE_DEVICES"] = "5"
        return env

    # The machine of the suite has other GPUs than that of the worker.
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.setattr("cmim.suite.engines.ray.environment", in_the_worker)
    start(engine, tmp_path, "a", device)
    assert fake.asked == [dict(num_cpus=1, num_gpus=gpus, max_retries=0)]
    assert told == [seen]


def test_ray_without_a_gpu_is_refused_where_it_cannot_grow(ray_engine, tmp_path):
    engine, _ = ray_engine(gpus=0)
    with pytest.raises(ConfigError, match="planned for cuda, and Ray finds no GPU"):
        start(engine, tmp_path, "a")
    start(engine, tmp_path, "b", device="cpu")
