"""Whole suites on the generated rooms: what records hold, failing, repeated, timed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from suite_cases import SMALL, records, suite_words, words, write_config, write_suite

from cmim.json_file import read_json
from cmim.suite.examples import read_example
from cmim.suite.side_files import sums_of

pytestmark = pytest.mark.slow
ONE_SEED = SMALL.replace("seeds = [0, 1]", "seeds = [0]")
STUDENT = (
    ONE_SEED
    + """
needs = dict(twin={"model.partner": "none", "model.model.backbone.method": "fp"})
axes["loss"] = dict(kd={"model": dict(partner="teacher", teacher="{twin}")})
baseline = {}
"""
)


def test_records_hold_what_figures_depend_on(done):
    found = records(done)
    assert [record["status"] for record in found.values()] == ["ok"] * 8
    for record in found.values():
        assert len(record["trace"]["loss"]) == 4
        assert record["test"]["images"] == 3
        assert "cmim.models.cmim" in record["code"]["modules"]
        assert record["machine"]["cpu"]
        assert record["device"] == record["machine"]["device"]
        assert record["versions"]["torch"]
        assert len(record["weights"]) == 64
    assert len({record["weights"] for record in found.values()}) == 8


def test_pictures_sums_and_latency_lie_beside_the_record(rooms, tmp_path):
    suite = write_suite(tmp_path, f"{ONE_SEED}\nexamples = 2\nlatency = True\n")
    only = ("--only", "method=bireal", "loss=none")
    subprocess.run(suite_words(suite, rooms, tmp_path, *only), check=True)
    (record,) = records(tmp_path).values()
    assert sums_of(record)["mIoU"].shape == (3, 3, 40)
    folder = Path(record["path"]).parent
    for example in record["examples"]:
        names = [example["image"], *example["tasks"]["seg"].values()]
        assert all(read_example(folder, name) for name in names)
    assert len(record["examples"]) == 2
    assert record["latency"].get("ms") or "openvino" in record["latency"]["note"]


def test_a_run_that_fails_loses_nothing(rooms, tmp_path):
    text = ONE_SEED.replace('"latent"', '"teacher", "model.teacher": "no/such.pth"')
    suite = write_suite(tmp_path, text)
    assert subprocess.run(suite_words(suite, rooms, tmp_path)).returncode == 1
    status = [record["status"] for record in records(tmp_path).values()]
    assert sorted(status) == ["failed", "failed", "ok", "ok"]
    reasons = {r.get("reason") for r in records(tmp_path).values()} - {None}
    assert all("no/such.pth" in reason for reason in reasons)


def test_a_dry_run_tells_the_minutes_of_each_kind(rooms, tmp_path):
    suite = write_suite(tmp_path, STUDENT)
    told = subprocess.run(
        suite_words(suite, rooms, tmp_path, "--dry-run"), capture_output=True, text=True
    )
    lines = [line.split() for line in told.stdout.splitlines()]
    rows = [line for line in lines if line and line[0] in ("bireal", "xnor_net")]
    twins = [line for line in lines if line and line[0] == "twin"]
    # Students as well, whose teacher is not trained yet.
    assert (len(rows), len(twins)) == (2, 1), told.stdout + told.stderr
    assert all(float(row[-1]) >= 0 for row in rows + twins)
    assert "about" in told.stdout.splitlines()[-1]
    assert not (tmp_path / "results").exists()


def test_a_teacher_is_trained_and_read(rooms, tmp_path):
    suite = write_suite(tmp_path, STUDENT)
    subprocess.run(suite_words(suite, rooms, tmp_path), check=True)
    found = records(tmp_path).values()
    twins = [record for record in found if record["labels"] == {"needed": "twin"}]
    students = [record for record in found if "needed" not in record["labels"]]
    assert (len(twins), len(students)) == (1, 2)
    assert {record["status"] for record in found} == {"ok"}
    for record in students:
        assert record["options"]["model"]["teacher"] == f"run:{twins[0]['key']}"
        assert "cmim.models.twin" in record["code"]["modules"]


def test_modules_of_the_user_are_in_the_record(rooms, tmp_path):
    mine = tmp_path / "my_parts.py"
    mine.write_text('"""Mine."""\n')
    config = write_config(tmp_path, "my_parts")
    text = ONE_SEED.replace("rooms_seg_bireal", str(config))
    suite = write_suite(tmp_path, text)
    subprocess.run(
        suite_words(suite, rooms, tmp_path, "--only", "method=bireal", "loss=none"),
        check=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    (record,) = records(tmp_path).values()
    assert "my_parts" in record["code"]["modules"]


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
