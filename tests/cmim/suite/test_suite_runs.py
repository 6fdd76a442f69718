"""Whole suites on the generated rooms: killed and resumed, failing, repeated."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from suite_cases import ROOMS, write_suite

from cmim.json_file import read_json
from cmim.suite.examples import read_example
from cmim.suite.record import read_records, same_figures
from cmim.suite.side_files import sums_of

ROOT = Path(__file__).resolve().parents[3]
SMALL = ROOMS.replace("seeds = [0, 1]", "seeds = [0]").replace("reactnet", "xnor_net")

pytestmark = pytest.mark.slow


def words(tool: str, *more: object) -> list[str]:
    return [sys.executable, str(ROOT / "tools" / f"{tool}.py"), *map(str, more)]


def suite_words(suite: Path, rooms: Path, home: Path, *more: object) -> list[str]:
    return words(
        "suite", suite, "--cfg-options", f"data_root={rooms}", "--results",
        home / "results", "--work-dir", home / "work", "--workers", 2, *more,
    )  # fmt: skip


def records(home: Path) -> dict[str, dict]:
    return {record["key"]: record for record in read_records(home / "results")}


@pytest.fixture(scope="module")
def done(tmp_path_factory, rooms) -> Path:
    """A suite of four runs, carried out without an interruption."""
    home = tmp_path_factory.mktemp("done")
    suite = write_suite(home, f"{SMALL}\nexamples = 2\nlatency = True\n")
    subprocess.run(suite_words(suite, rooms, home), check=True)
    return home


def test_records_hold_what_figures_depend_on(done):
    found = records(done)
    assert [record["status"] for record in found.values()] == ["ok"] * 4
    for record in found.values():
        assert len(record["trace"]["loss"]) == 4
        assert record["test"]["images"] == 3
        assert "cmim.models.cmim" in record["code"]["modules"]
        assert record["machine"]["cpu"]
        assert record["versions"]["torch"]
        assert len(record["weights"]) == 64
        assert sums_of(record)["mIoU"].shape == (3, 3, 40)
        folder = Path(record["path"]).parent
        for example in record["examples"]:
            names = [example["image"], *example["tasks"]["seg"].values()]
            assert all(read_example(folder, name) for name in names)
        assert len(record["examples"]) == 2
        assert record["latency"].get("ms") or "openvino" in record["latency"]["note"]


def test_killed_five_times_the_records_are_the_same(done, rooms, tmp_path):
    suite = write_suite(tmp_path, f"{SMALL}\nexamples = 2\n")
    choose = random.Random(5)
    for _ in range(5):
        process = subprocess.Popen(suite_words(suite, rooms, tmp_path))
        time.sleep(choose.uniform(5, 40))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    subprocess.run(suite_words(suite, rooms, tmp_path), check=True)
    found, expected = records(tmp_path), records(done)
    assert found.keys() == expected.keys()
    for key, record in found.items():
        assert same_figures(record, expected[key]), key


def test_a_run_that_fails_loses_nothing(rooms, tmp_path):
    text = SMALL.replace('"latent"', '"teacher", "model.teacher": "no/such.pth"')
    suite = write_suite(tmp_path, text)
    assert subprocess.run(suite_words(suite, rooms, tmp_path)).returncode == 1
    status = [record["status"] for record in records(tmp_path).values()]
    assert sorted(status) == ["failed", "failed", "ok", "ok"]
    reasons = {r.get("reason") for r in records(tmp_path).values()} - {None}
    assert all("no/such.pth" in reason for reason in reasons)


def test_a_dry_run_tells_the_minutes_of_each_kind(rooms, tmp_path):
    suite = write_suite(tmp_path, SMALL)
    told = subprocess.run(
        suite_words(suite, rooms, tmp_path, "--dry-run"), capture_output=True, text=True
    )
    lines = [line.split() for line in told.stdout.splitlines()]
    rows = [line for line in lines if line and line[0] in ("bireal", "xnor_net")]
    assert len(rows) == 4, told.stderr
    assert all(float(row[-1]) >= 0 for row in rows)
    assert "about" in told.stdout.splitlines()[-1]
    assert not (tmp_path / "results").exists()


def test_code_that_is_loaded_late_is_in_the_record(done):
    for record in records(done).values():
        loss = record["labels"]["loss"] == "latent"
        assert (
            "cmim.contrast.losses.info_nce" in record["code"]["modules"]
        ) or not loss
        assert "tasks.segmentation.metrics" in record["code"]["modules"]


def test_a_row_comes_back(done, rooms, tmp_path):
    key = sorted(records(done))[0]
    again = subprocess.run(
        words("reproduce", key[:8], "--results", done / "results", "--data-root", rooms,
              "--json", tmp_path / "found.json"),
        capture_output=True, text=True,
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
    assert "the figures came back; the weights are the same" in again.stdout
    assert read_json(tmp_path / "found.json")["step"] is None
