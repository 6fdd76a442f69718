"""tools/bench.py loss: tables, picture and JSON of one small run."""

import json

import pytest
from in_process import run_in_process


# Sizes are measured in processes of their own, since memory is.
@pytest.mark.slow
def test_a_small_run_writes_picture_and_figures(tmp_path):
    json_file = tmp_path / "loss.json"
    options = "--batch 4 --negatives 20 --rows 200 --features 8 --rounds 1 --threads 1"
    where = ["--sizes", "32", "64", "--out", str(tmp_path), "--json", str(json_file)]
    ran = run_in_process("bench", "loss", *options.split(), *where)
    assert ran.returncode == 0, ran.stderr
    figures = json.loads(json_file.read_text())
    assert figures["threads"] == 1
    assert {"speedup_vs_released", "speedup_same_loss", "sampling_ms"} <= set(figures)
    assert [row["negatives"] for row in figures["rows"]] == [32, 64]
    assert "as fast" in ran.stdout
    assert (tmp_path / "negatives.png").is_file()
