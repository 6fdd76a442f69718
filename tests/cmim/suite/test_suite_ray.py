"""The suite of eight runs on a real cluster of Ray: the records of the local engine."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from suite_cases import SMALL, assert_same_records, suite_words, write_suite

pytestmark = pytest.mark.slow
# Each of the two workers of the cluster, in bytes: what Ray takes at least.
MEMORY = 80 << 20


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of two workers with a CPU each, that are machines of their own."""
    pytest.importorskip("ray", reason="ray is not installed: pip install cmim[cluster]")
    from ray.cluster_utils import Cluster

    options = dict(num_cpus=1, object_store_memory=MEMORY, include_dashboard=False)
    made = Cluster(initialize_head=True, head_node_args=options)
    made.add_node(num_cpus=1, object_store_memory=MEMORY)
    yield made.address
    made.shutdown()


def ray_words(cluster: str, suite: Path, rooms: Path, home: Path) -> list[str]:
    words = suite_words(suite, rooms, home, "--engine", "ray")
    return [*words, "--engine-options", f"address={cluster}"]


def test_records_are_those_of_the_local_engine(cluster, done, rooms, tmp_path):
    suite = write_suite(tmp_path, SMALL)
    subprocess.run(ray_words(cluster, suite, rooms, tmp_path), check=True)
    assert_same_records(tmp_path, done)


def jobs_of(home: Path) -> list[int]:
    """Processes that do a run below a folder and have begun to train."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().decode().split("\0")
        except OSError:
            continue
        if "cmim.suite.work" in words and str(home) in words[-2]:
            trains = Path(words[-2]).with_name("last.pth").is_file()
            found += [int(entry.name)] if trains else []
    return found


def started(words: list[str], home: Path) -> tuple[subprocess.Popen, int]:
    """A suite, and a process of it that has begun to train."""
    process = subprocess.Popen(words)
    while not (found := jobs_of(home)):
        assert process.poll() is None, "it has ended before it could be killed"
        time.sleep(0.02)
    return process, found[0]


@pytest.fixture
def ray_suite(cluster, rooms, tmp_path) -> list[str]:
    if not Path("/proc/self").is_dir():
        pytest.skip("processes are found by /proc, which this system has not")
    return ray_words(cluster, write_suite(tmp_path, SMALL), rooms, tmp_path)


def test_a_killed_run_is_started_again(ray_suite, done, tmp_path):
    process, job = started(ray_suite, tmp_path)
    os.kill(job, signal.SIGKILL)
    assert process.wait() == 0
    assert_same_records(tmp_path, done)


def test_a_killed_suite_goes_on(ray_suite, done, tmp_path):
    process, _ = started(ray_suite, tmp_path)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    subprocess.run(ray_suite, check=True)
    assert_same_records(tmp_path, done)
