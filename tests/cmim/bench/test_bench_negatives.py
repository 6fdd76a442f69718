"""Time and memory by number of negatives, on small numbers."""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
import torch

from cmim.bench.negatives import (
    bench_negatives,
    chunked_loss,
    compare_whole,
    draw_negatives,
    format_negatives,
    make_vectors,
    measure_size,
    plain_loss,
)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_pieces_and_whole_are_equal(dtype):
    found = compare_whole(9000, 5, dtype)  # three pieces
    rounding = 20 * torch.finfo(dtype).eps
    assert found["value_difference"] <= rounding * found["value"]
    assert found["gradient_difference"] <= rounding * found["gradient_largest"]
    assert found["gradient_largest"] > 0


def test_a_difference_would_be_seen():
    anchors, positives, queue = make_vectors(9000, 5)
    assert (chunked_loss(anchors, positives, queue[1:])) != plain_loss(
        anchors, positives, queue
    )


def test_vectors_are_unit_and_the_same_each_time():
    first, again = make_vectors(5000, 3), make_vectors(5000, 3)
    for x, y in zip(first, again, strict=True):
        assert torch.equal(x, y)
        torch.testing.assert_close(x.norm(dim=1), torch.ones(len(x)))


@pytest.mark.full
def test_a_size_says_what_it_took_either_way():
    # As the benchmark does: a process that has freed memory before may not need more.
    with ProcessPoolExecutor(1, get_context("spawn")) as alone:
        row = alone.submit(measure_size, 200_000, 50, rounds=1).result()
    assert (row["negatives"], row["queue_mb"]) == (200_000, 102.4)
    assert row["ms"] > 0
    assert row["whole_ms"] > 0
    scores_mb = 200_000 * 50 * 4 / 1e6
    # Where the peak cannot start anew (not Linux), an earlier one may hide both.
    if sys.platform == "linux":
        assert row["whole_extra_mb"] > scores_mb
        assert row["extra_mb"] < scores_mb / 2


# Each size is measured in a process of its own.
@pytest.mark.slow
def test_table_and_picture_of_two_sizes(tmp_path):
    figures = bench_negatives((64, 5000), batch=4)
    assert [row["negatives"] for row in figures["rows"]] == [64, 5000]
    assert figures["equality"]["float64"]["value_difference"] < 1e-12
    figures["rows"][1].update(whole_ms=None, whole_extra_mb=None)
    text = format_negatives({**figures, "equality": {"float64": None}})
    assert "5000" in text
    assert text.count("not enough memory") == 2
    draw_negatives(tmp_path / "new" / "negatives.png", figures)
    assert (tmp_path / "new" / "negatives.png").stat().st_size > 10_000
