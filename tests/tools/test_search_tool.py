"""tools/search.py with stored times: a front from a file, and nothing is timed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("openvino")

from in_process import run_in_process

from cmim.engine.config import load_config
from cmim.search import latency_table
from cmim.search.design import Space
from cmim.search.search import predict_all

CONFIG = "configs/nyud_joint_bireal_fast_small.py"
SPACE = (
    *("--size", 64, 96, "--stems", "pair", "--widths", 8, 16, "--heads", 8),
    *("--output-strides", 16, 32, "--real-stages", "none", "14", "--clock", "cpu"),
)


@pytest.fixture
def times(tmp_path) -> Path:
    """A millisecond for each thousand values that a unit reads."""
    here = latency_table.circumstances_here(1, "cpu", "float32")
    table = latency_table.LatencyTable(here)
    space = Space(["pair"], [8, 16], [16, 32], [8], [(), (0, 3)])

    def measure(core, units, places):
        return {place: units[place].values / 1e3 for place in places}

    predict_all(load_config(CONFIG), space, (64, 96), table, measure)
    table.save(tmp_path / "times.json")
    return tmp_path / "times.json"


def test_the_same_times_give_the_same_front(times, tmp_path, monkeypatch):
    def refuse(*_):
        raise AssertionError("timed")

    monkeypatch.setattr(latency_table, "time_units", refuse)
    found = []
    for name in ("a", "b"):
        done = run_in_process(
            *("search", CONFIG, *SPACE, "--measurements", times),
            *("--out", tmp_path / name, "--json", tmp_path / f"{name}.json"),
        )
        assert done.returncode == 0, done.stderr
        assert "of 8 networks are beaten by no other:" in done.stdout
        assert (tmp_path / name / "front.png").is_file()
        found.append(json.loads((tmp_path / f"{name}.json").read_text()))
    assert found[0] == found[1]
    assert len(found[0]["all"]) == 8
    assert 0 < len(found[0]["front"]) <= 8


def test_times_of_another_number_of_threads_are_refused(times):
    done = run_in_process(
        *("search", CONFIG, *SPACE, "--clock", "wall", "--threads", 2),
        *("--measurements", times),
    )
    assert done.returncode
    said = " ".join(done.stderr.split())
    assert "threads was 1 and is 2" in said
    assert "Traceback" not in said
