"""tools/bench.py bounds: table, picture and JSON of one small run."""

import json

import pytest
from in_process import run_in_process


@pytest.mark.full
def test_small_run(tmp_path):
    record = tmp_path / "figures.json"
    done = run_in_process(
        *("bench", "bounds"),
        *("--steps-per-level", "3", "--batch", "5", "--dim", "2", "--seed", "3"),
        *("--out", str(tmp_path / "new"), "--json", str(record)),
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(record.read_text())
    asked = {"steps_per_level": 3, "batch": 5, "dim": 2, "seed": 3, "unit": "nats"}
    assert {name: figures[name] for name in asked} == asked
    assert figures["critic"] == "separable"
    assert [row["truth"] for row in figures["rows"]][:5] == [2, 4, 6, 8, 10]
    assert len(figures["rows"]) == 9 * 5
    for row in figures["rows"]:
        assert f"{row['mean']:.2f} ± {row['spread']:.2f}" in done.stdout
    assert (tmp_path / "new" / "bounds.png").stat().st_size > 10_000


def test_too_small_a_batch_is_one_sentence():
    done = run_in_process("bench", "bounds", "--batch", "2")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "error: batch must be at least 3, got 2"
