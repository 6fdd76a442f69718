"""Spread and paired gains against enumeration."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from report_cases import record as reported

from cmim.engine.config import ConfigError
from cmim.suite.rows import in_order, rows_of
from cmim.suite.statistics import gain_of, spread_of


def test_spread_is_that_of_the_seeds():
    found = spread_of([1.0, 2.0, 4.0])
    assert found.mean == pytest.approx(7 / 3)
    assert found.deviation == pytest.approx(np.std([1, 2, 4], ddof=1))
    assert math.isnan(spread_of([1.0]).deviation)


@pytest.mark.parametrize("seeds", [3, 4, 6])
def test_p_is_the_share_of_sign_changes_as_large(seeds):
    random = np.random.default_rng(seeds)
    ours, base = random.normal(1, 1, seeds), random.normal(size=seeds)
    gain = gain_of(dict(enumerate(ours)), dict(enumerate(base)))
    d = ours - base
    means = [np.mean(d * s) for s in itertools.product([1, -1], repeat=seeds)]
    tails = [np.mean([m <= d.mean() + 1e-12 for m in means]),
             np.mean([m >= d.mean() - 1e-12 for m in means])]  # fmt: skip
    assert gain.p == pytest.approx(min(1, 2 * min(tails)))
    assert gain.low <= gain.mean <= gain.high
    assert gain.mean == pytest.approx(d.mean())


def test_seeds_are_paired_and_others_left_out():
    gain = gain_of({0: 5.0, 1: 7.0, 9: 100.0}, {1: 6.0, 0: 4.5, 3: 0.0})
    assert (gain.mean, gain.count) == (0.75, 2)
    assert gain.words == "two seeds: no interval"


def test_words_follow_the_test():
    base = dict.fromkeys(range(6), 1.0)
    higher = gain_of({s: 2.0 + 0.01 * s for s in range(6)}, base)
    assert higher.words == "higher (p 0.031)"
    lower = gain_of(base, dict.fromkeys(range(6), 2.0))
    assert lower.words == "lower (p 0.031)"
    assert lower.low == lower.high == -1
    # Five equal signs have one chance in sixteen.
    assert gain_of(dict.fromkeys(range(5), 2.0), base).words == "within noise (p 0.062)"
    assert gain_of({}, {}).words == "no seed in common"


def test_two_records_of_one_row_and_seed_are_refused():
    with pytest.raises(ConfigError, match="has two records of"):
        rows_of([record("none", 0, 5.0), record("none", 0, 6.0)])


def record(loss: str, seed: int, miou: float, status: str = "ok") -> dict:
    test = {"mIoU": miou, "images": 3, "seconds": 1.0, "per_class": {"wall": {}}}
    return dict(suite="s", key="k", labels={"method": "m", "loss": loss}, seed=seed,
                status=status, test={} if status == "failed" else test)  # fmt: skip


def test_rows_group_seeds_and_compare_with_the_baseline():
    records = [
        *(record("none", seed, 5.0 + seed) for seed in range(3)),
        *(record("latent", seed, 6.0 + seed) for seed in range(3)),
        record("latent", 3, 0.0, "failed"),
    ]
    none, latent = rows_of(records, {"loss": "none"})
    assert none.labels == {"method": "m", "loss": "none"}
    assert none.gains == {}
    assert list(latent.figures) == ["mIoU"]
    assert latent.figures["mIoU"].mean == 7.0
    assert latent.gains["mIoU"].mean == 1.0
    assert latent.seeds == (0, 1, 2)


def test_a_stale_record_makes_its_row_stale():
    records = [record("none", 0, 5.0), record("none", 1, 5.0, "stale")]
    assert [row.status for row in rows_of(records)] == ["stale"]


def test_rows_stand_in_the_order_of_their_labels_the_baseline_first():
    labels = [("xnor_net", "none"), ("bireal", "latent"), ("bireal", "none")]
    found = [
        dict(reported(m, loss, 0, 5.0), baseline={"loss": "none"}) for m, loss in labels
    ]
    ordered = [tuple(row.labels.values()) for row in in_order(rows_of(found))]
    assert ordered == [("bireal", "none"), ("bireal", "latent"), ("xnor_net", "none")]
