"""Intervals over test images, against draws in a loop, and in the report."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from report_cases import record
from scipy import stats

from cmim.engine.image_sums import SumsError, read_sums, sums_digest, write_sums
from cmim.suite.record import read_records
from cmim.suite.report import write_report
from cmim.suite.rows import rows_of
from cmim.suite.side_files import keep_sums, sums_beside, sums_of
from cmim.suite.statistics import gain_over_images, interval_over_images
from tasks.depth.root_mean_square import root_mean_square
from tasks.segmentation.iou import mean_iou

RANDOM = np.random.default_rng(7)


def drawn_in_a_loop(count: int, of_places) -> tuple[float, float]:
    """The same draws, each pooled by itself."""
    found = stats.bootstrap(
        (np.arange(count),), of_places, confidence_level=0.95, method="BCa",
        n_resamples=9999, batch=1000, vectorized=False,
        random_state=np.random.default_rng(0),
    )  # fmt: skip
    return found.confidence_interval.low, found.confidence_interval.high


def test_rmse_of_draws_is_that_of_their_pixels():
    images = [RANDOM.uniform(0, 2, RANDOM.integers(1, 6)) for _ in range(12)]
    sums = np.array([[len(errors), np.sum(errors**2)] for errors in images])

    def rmse(places):
        errors = np.concatenate([images[int(k)] for k in places])
        return np.sqrt(np.mean(errors**2))

    found = interval_over_images(sums, root_mean_square)
    assert found == pytest.approx(drawn_in_a_loop(12, rmse), rel=1e-9)


def test_classes_that_a_draw_lacks_do_not_count_in_it():
    sums = RANDOM.integers(1, 9, (8, 3, 3))
    sums[:, 1:] += sums[:, :1]
    # The last class is in one image alone.
    sums[1:, :, 2] = 0

    def miou(places):
        correct, truth, predicted = sum(sums[int(k)] for k in places)
        union = truth + predicted - correct
        return np.mean([100 * c / u for c, u in zip(correct, union, strict=True) if u])

    found = interval_over_images(sums, mean_iou)
    assert found == pytest.approx(drawn_in_a_loop(8, miou), rel=1e-9)


def test_equal_images_have_a_point_and_two_images_nothing():
    sums = np.array([[4.0, 1.0]] * 5)
    assert interval_over_images(sums, root_mean_square) == (0.5, 0.5)
    assert all(map(math.isnan, interval_over_images(sums[:2], root_mean_square)))


@pytest.fixture
def results(tmp_path):
    """Two records of one seed, one of which has its sums beside it."""
    sums = {"mIoU": torch.from_numpy(RANDOM.integers(1, 9, (6, 3, 2))).cumsum(1)}
    folder = tmp_path / "run"
    write_sums(folder / "sums.npz", sums)
    for method in ("bireal", "fp"):
        found = record(method, "none", 0, 50.0)
        path = tmp_path / "results" / "small" / f"{found['key']}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        if method == "bireal":
            found["sums"] = keep_sums(folder, path)
        else:
            found["sums"] = keep_sums(tmp_path / "nothing", path)
        path.write_text(json.dumps(found))
    return tmp_path / "results"


def test_the_report_shows_the_interval_of_a_single_run(results, tmp_path):
    bireal, fp = read_records(results)
    assert fp["sums"] is None
    sums = read_sums(results / "small" / f"{bireal['key']}.sums.npz")["mIoU"]
    low, high = interval_over_images(sums, mean_iou)
    write_report([bireal, fp], tmp_path / "report")
    lines = (tmp_path / "report" / "results.md").read_text().splitlines()
    assert f"| 50 ({low:.4g} to {high:.4g}) |" in lines[4]
    assert "| 50 |" in lines[5]
    page = (tmp_path / "report" / "index.html").read_text()
    assert f"50 ({low:.4g} to {high:.4g})" in page


def test_rows_of_several_seeds_have_their_spread_instead(results):
    bireal, _ = read_records(results)
    (row,) = rows_of([bireal, {**bireal, "seed": 1}])
    assert row.intervals == {}


def test_a_gain_of_two_runs_draws_the_same_images_for_both():
    images = [RANDOM.uniform(0, 2, (2, RANDOM.integers(1, 6))) for _ in range(12)]
    ours, theirs = (
        np.array([[each.shape[1], np.sum(each[run] ** 2)] for each in images])
        for run in (0, 1)
    )

    def gain(places):
        first, second = np.concatenate([images[int(k)] for k in places], axis=1)
        return np.sqrt(np.mean(first**2)) - np.sqrt(np.mean(second**2))

    found = gain_over_images(ours, theirs, root_mean_square)
    assert found == pytest.approx(drawn_in_a_loop(12, gain), rel=1e-9)
    assert all(map(math.isnan, gain_over_images(ours[1:], theirs, root_mean_square)))


def test_a_row_of_one_seed_has_its_gain_over_images(tmp_path):
    sums = RANDOM.integers(1, 9, (2, 6, 3, 2)).cumsum(2)
    for loss, own in zip(("none", "latent"), sums, strict=True):
        found = record("bireal", loss, 0, 50.0)
        path = tmp_path / "small" / f"{found['key']}.json"
        path.parent.mkdir(exist_ok=True)
        write_sums(tmp_path / loss / "sums.npz", {"mIoU": torch.from_numpy(own)})
        found["sums"] = keep_sums(tmp_path / loss, path)
        path.write_text(json.dumps(found))
    rows = rows_of(read_records(tmp_path), {"loss": "none"})
    (gain,) = (row.gains["mIoU"] for row in rows if row.gains)
    assert (gain.low, gain.high) == gain_over_images(sums[1], sums[0], mean_iou)
    assert gain.words == "one seed: interval over images"


def test_another_file_of_sums_is_refused_and_a_missing_one_is_none(results):
    bireal, _ = read_records(results)
    path = sums_beside(results / "small" / f"{bireal['key']}.json")
    assert sums_digest(sums_of(bireal)) == bireal["sums"]["digest"]
    write_sums(path, {"mIoU": torch.ones(6, 3, 2, dtype=torch.int64)})
    with pytest.raises(SumsError, match="is not what run bireal"):
        rows_of([bireal])
    path.unlink()
    assert sums_of(bireal) == {}
