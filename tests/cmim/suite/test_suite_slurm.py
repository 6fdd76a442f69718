"""Eight runs on a real Slurm of one machine: the records of the local engine."""

from __future__ import annotations

import ast
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from suite_cases import (
    ROOT,
    SMALL,
    assert_same_records,
    records,
    suite_words,
    words,
    write_config,
    write_suite,
)

from cmim.json_file import read_json

pytestmark = pytest.mark.slow
SCRIPT = Path(__file__).with_name("single_node_slurm.sh")
PAUSE = '''
"""A hook that makes every step take a second."""

import time

from mmengine.hooks import Hook


class Pause(Hook):
    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        time.sleep(1)
'''
# Longer than the shortest time limit and the half minute in which Slurm notices.
LONG = """
config = "{config}"
steps = 100
options = {options}
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[Path]:
    """A folder with a Slurm whose commands speak to it for as long as the tests run."""
    wanted = ("slurmctld", "slurmd", "munged", "sbatch")
    missing = [name for name in wanted if shutil.which(name) is None]
    if missing or os.geteuid():
        why = f"{', '.join(missing)} is not installed" if missing else "needs root"
        pytest.skip(f"{why}: apt-get install slurm-wlm munge, as root")
    folder = tmp_path_factory.mktemp("slurm")
    subprocess.run([SCRIPT, "start", folder], check=True)
    os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
    yield folder
    subprocess.run(["scancel", "--me"])
    subprocess.run([SCRIPT, "stop", folder], check=True)
    del os.environ["SLURM_CONF"]


def slurm_words(
    suite: Path, rooms: Path, home: Path, *options: str, workers: int = 8
) -> list[str]:
    given = suite_words(suite, rooms, home, "--engine", "slurm")
    given[given.index("--workers") + 1] = str(workers)
    return [*given, "--engine-options", "partition=all", *options]


def test_records_are_those_of_the_local_engine(cluster, done, rooms, tmp_path):
    suite = write_suite(tmp_path, SMALL)
    subprocess.run(slurm_words(suite, rooms, tmp_path), check=True)
    assert_same_records(tmp_path, done)


def queue() -> list[str]:
    asked = ["squeue", "--me", "--noheader", "--format=%i %T"]
    return subprocess.check_output(asked, text=True).splitlines()


def test_jobs_outlive_a_killed_suite_and_are_found_again(
    cluster, done, rooms, tmp_path
):
    suite = write_suite(tmp_path, SMALL)
    command = slurm_words(suite, rooms, tmp_path)
    process = subprocess.Popen(command)
    while len(found := queue()) < 8:
        assert process.poll() is None, "it has ended before it was killed"
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    numbers = {line.split()[0] for line in found}
    subprocess.run(command, check=True)
    assert_same_records(tmp_path, done)
    # No run was queued twice.
    listed = subprocess.check_output(
        ["squeue", "--me", "--states=all", "--noheader", "--format=%i"], text=True
    )
    assert max(map(int, listed.split())) == max(map(int, numbers))


def test_two_tasks_of_a_job_train_one_model(cluster, rooms, tmp_path):
    """``--launcher slurm``, on CPUs as well."""
    options = ast.literal_eval(SMALL[SMALL.index("{") : SMALL.index("}") + 1])
    given = [f"{name}={value}".replace(" ", "") for name, value in options.items()]
    train = words("train", "rooms_seg_bireal", "--launcher", "slurm", "--no-test")
    subprocess.run(
        ["srun", "--ntasks=2", "--partition=all", *train, "--work-dir", tmp_path,
         "--cfg-options", f"data_root={rooms}", "train_cfg.max_iters=4", *given],
        check=True,
        cwd=ROOT,
    )  # fmt: skip
    assert read_json(tmp_path / "run.json")["world_size"] == 2
    assert len(read_json(tmp_path / "trace.json")["loss"]) == 4


def test_a_time_limit_is_an_interruption(cluster, rooms, tmp_path, monkeypatch):
    (tmp_path / "pauses.py").write_text(PAUSE)
    more = "custom_hooks.append(dict(type=pauses.Pause))"
    config = write_config(tmp_path, "pauses", more)
    start = SMALL.index("options = {")
    options = SMALL[start + len("options = ") : SMALL.index("axes =")]
    text = LONG.format(config=config, options=options)
    suite = write_suite(tmp_path, text, "long")
    subprocess.run(
        slurm_words(suite, rooms, tmp_path, "minutes=1"),
        check=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    # Without its module the record would count as stale here.
    monkeypatch.syspath_prepend(str(tmp_path))
    (record,) = records(tmp_path).values()
    assert record["status"] == "ok"
    assert "pauses" in record["code"]["modules"]
    assert len(record["trace"]["loss"]) == 100
    log = next((tmp_path / "work").glob("*/output.log")).read_text()
    assert "DUE TO TIME LIMIT" in log
