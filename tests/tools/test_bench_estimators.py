"""tools/bench.py estimators: table, picture and JSON of one small run."""

import json

import pytest
from in_process import run_in_process


@pytest.mark.full
def test_small_run(tmp_path):
    record = tmp_path / "figures.json"
    done = run_in_process(
        *("bench", "estimators"),
        *("--samples", "60", "--repeats", "2"),
        *("--out", str(tmp_path / "new"), "--json", str(record)),
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(record.read_text())
    assert (figures["samples"], figures["repeats"], figures["unit"]) == (60, 2, "nats")
    assert {row["dims"] for row in figures["rows"]} == {1, 2, 5}
    assert {row["estimator"] for row in figures["rows"]} == {"ksg", "mixed_ksg", "lnc"}
    for row in figures["rows"]:
        assert f"{row['mean']:.3f} {row['bias']:+7.3f}" in done.stdout
    assert (tmp_path / "new" / "estimators.png").stat().st_size > 10_000


def test_too_few_samples_are_one_sentence():
    done = run_in_process("bench", "estimators", "--samples", "10")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: 10 samples are too few")
