"""Nothing that is finished is lost: kills, a dead worker, a full disk."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from suite_cases import (
    SMALL,
    assert_same_records,
    records,
    suite_words,
    write_suite,
)

# A killed process was at something within so many seconds of beginning to train.
LATE = 8


def workers_of(process: subprocess.Popen) -> list[int]:
    """Processes that do a run each, which has begun to train, now or before."""
    if not Path("/proc/self/task").is_dir():
        pytest.skip("processes are found by /proc, which this system has not")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    found = []
    for child in map(int, children.read_text().split()):
        words = Path(f"/proc/{child}/cmdline").read_bytes().decode().split("\0")
        if "cmim.suite.work" in words:
            job = Path(words[words.index("cmim.suite.work") + 1])
            found += [child] if job.with_name("last.pth").is_file() else []
    return found


@pytest.mark.slow
def test_killed_five_times_the_records_are_the_same(done, rooms, tmp_path):
    suite = write_suite(tmp_path, SMALL)
    choose = random.Random(5)
    found: set[str] = set()
    for _ in range(5):
        process = subprocess.Popen(suite_words(suite, rooms, tmp_path))
        while not workers_of(process):
            assert process.poll() is None, "it has ended before it was killed"
            time.sleep(0.05)
        time.sleep(choose.uniform(0, LATE))
        assert process.poll() is None, "it has ended before it was killed"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        # What was finished before is finished still.
        assert found <= records(tmp_path).keys()
        found = set(records(tmp_path))
    subprocess.run(suite_words(suite, rooms, tmp_path), check=True)
    assert_same_records(tmp_path, done)


@pytest.mark.slow
def test_a_worker_that_dies_is_started_again(done, rooms, tmp_path):
    suite = write_suite(tmp_path, SMALL)
    process = subprocess.Popen(suite_words(suite, rooms, tmp_path))
    killed: set[int] = set()
    while process.poll() is None and len(killed) < 3:
        for worker in set(workers_of(process)) - killed:
            killed.add(worker)
            os.kill(worker, signal.SIGKILL)
            break
        time.sleep(0.02)
    assert process.wait() == 0
    assert len(killed) == 3
    assert_same_records(tmp_path, done)


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A file system of 20 MiB, which holds three of the eight runs."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=20m", "none", folder], capture_output=True
    )
    if made.returncode:
        pytest.skip("a small file system can be made by root alone")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.slow
def test_a_full_disk_ends_the_call_and_loses_nothing(done, rooms, small_disk):
    suite = write_suite(small_disk, SMALL)
    words = suite_words(suite, rooms, small_disk)
    for _ in range(2):
        stopped = subprocess.run(words, capture_output=True, text=True)
        assert stopped.returncode in (1, 2)
        said = stopped.stdout + stopped.stderr
        assert "disk is full" in said or "no space left on device" in said
        assert "Traceback" not in said
        found = records(small_disk)
        assert 0 < len(found) < 8
        assert {record["status"] for record in found.values()} == {"ok"}
    subprocess.run(["mount", "-o", "remount,size=200m", small_disk], check=True)
    subprocess.run(words, check=True)
    assert records(small_disk).items() >= found.items()
    assert_same_records(small_disk, done)
