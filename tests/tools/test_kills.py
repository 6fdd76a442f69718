"""Tools killed at random moments: nothing half-written passes, again gives the same."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest
import torch
from fault_run import CONFIG, options, run
from test_train_and_resume import assert_same

from cmim.checkpoint import read_checkpoint

pytestmark = pytest.mark.slow  # Whole runs of tools.

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
CHANGES = {
    "train_cfg.max_iters": 5,
    "train_cfg.val_interval": 2,
    "default_hooks.checkpoint.interval": 1,
}
QUICK, MANY = range(1), range(1, 12)


def fork(words: tuple[object, ...], delay: float | None = None, sent: int = 0) -> int:
    """Run a tool in a copy of this process, which has imported everything already."""
    child = os.fork()
    if child == 0:
        status = 99
        try:
            os.setsid()
            torch.set_num_threads(1)
            status = run(*words).status
        finally:
            sys.stdout.flush()
            os._exit(status)
    if delay is not None:
        time.sleep(delay)
        os.kill(child, sent)
    return wait(child)


def wait(child: int, seconds: float = 180) -> int:
    """The exit status; a copy that hangs is ended."""
    deadline = time.monotonic() + seconds
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            raise TimeoutError(f"a tool runs for more than {seconds} s")
        time.sleep(0.01)


class Job:
    """A tool, where it writes, and what it has written undisturbed."""

    def __init__(self, words, folder: Path, again=()) -> None:
        self.words, self.again = words, again
        begin = time.perf_counter()
        assert fork(self.words(folder)) == 0
        self.seconds = time.perf_counter() - begin
        self.whole = files_of(folder)

    def kill(self, folder: Path, seed: int) -> int:
        share = random.Random(seed).random()
        sent = SIGNALS[seed % len(SIGNALS)]
        status = fork(self.words(folder), share * self.seconds, sent)
        assert status in (0, -sent, 130), status
        return status

    def repeat(self, folder: Path) -> None:
        assert fork((*self.words(folder), *self.again)) == 0


def files_of(folder: Path) -> dict[str, bytes]:
    """What can be taken for a result: no file or folder that is hidden."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }


@pytest.fixture(scope="module")
def trained(rooms, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    assert fork(("train", CONFIG, "--work-dir", folder, *options(data_root=rooms))) == 0
    return folder / "last.pth"


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("raw")
    words = ("--out", folder, "--frames", 30, "--size", 48, 64)
    assert fork(("make_rooms", *words)) == 0
    return folder


@pytest.fixture(scope="module")
def jobs(rooms, trained, raw, tmp_path_factory):
    """Jobs by name, each done once when it is asked for."""
    chosen = options(data_root=rooms)
    size = ("--size", 48, 64)
    words = {
        "train": lambda f: (
            *("train", CONFIG, "--work-dir", f, "--resume"),
            *options(data_root=rooms, **CHANGES),
        ),
        "test": lambda f: (
            *("test", CONFIG, trained, "--save-predictions", f / "pictures"),
            *chosen,
        ),
        "predict": lambda f: (
            *("predict", CONFIG, trained, rooms / "images", "--out", f),
            *chosen,
        ),
        "npz": lambda f: (
            *("export", CONFIG, trained, "--out", f / "a.npz", *size, *chosen),
        ),
        "xml": lambda f: (
            *("export", CONFIG, trained, "--out", f / "a.xml", *size, *chosen),
        ),
        "prepare": lambda f: (
            *("prepare_nyud", "--mat", raw / "nyu_depth_v2_labeled.mat", "--out", f),
        ),
    }
    done: dict[str, Job] = {}

    def job(name: str) -> Job:
        if name not in done:
            done[name] = Job(words[name], tmp_path_factory.mktemp(name))
        return done[name]

    return job


def cases(names, seeds, marks=()):
    return [pytest.param(n, s, marks=marks) for n in names for s in seeds]


NAMES = ("predict", "npz", "prepare")


@pytest.mark.parametrize(
    ("name", "seed"),
    cases(NAMES, QUICK)
    + cases(NAMES, MANY, pytest.mark.slow)
    + cases(["xml", "test"], range(12), pytest.mark.slow),
)
def test_a_killed_tool_leaves_nothing_that_passes(name, seed, jobs, tmp_path):
    if name == "xml":
        pytest.importorskip("openvino")
    job = jobs(name)
    job.kill(tmp_path, seed)
    left = files_of(tmp_path)
    if name == "prepare" and "INCOMPLETE" in left:
        # Refused by everything that reads the folder until it is resumed.
        left = {}
    for file, data in left.items():
        assert data == job.whole[file], file
    job.repeat(tmp_path)
    assert files_of(tmp_path) == job.whole


@pytest.mark.parametrize(
    ("name", "seed"),
    cases(["train"], (0, 1)) + cases(["train"], range(2, 20), pytest.mark.slow),
)
def test_a_killed_run_is_resumed_to_the_same_bits(name, seed, jobs, tmp_path):
    job = jobs(name)
    job.kill(tmp_path, seed)
    for path in tmp_path.glob("[!.]*.pth"):
        assert read_checkpoint(path)["state_dict"], path
    job.repeat(tmp_path)
    for file in ("last.pth", "best.pth"):
        (tmp_path / "whole.pth").write_bytes(job.whole[file])
        whole = read_checkpoint(tmp_path / "whole.pth")
        found = read_checkpoint(tmp_path / file)
        for part in ("state_dict", "optimizer", "param_schedulers"):
            assert_same(whole.get(part), found.get(part), f"{file} {part}")
    assert not list(tmp_path.glob(".*.part"))
