"""Joint against single runs: Delta_m by hand, directions, costs, misuse."""

import json

import pytest

from tasks.multitask.comparison import ComparisonError, as_table, compare, read_run

NETWORK = dict(encoder="BinaryResNet", depth=18)


def write_run(folder, test, minutes=10.0, memory=2.0, **record):
    folder.mkdir()
    metrics = dict(
        network=NETWORK, seed=0, steps=1000, minutes=minutes, peak_memory_gb=memory
    )
    if test:
        metrics["test"] = dict(test, images=654)
    (folder / "metrics.json").write_text(json.dumps(metrics))
    record = {"threads": 1, "world_size": 1, "seed": 0, **record}
    (folder / "run.json").write_text(json.dumps(record))
    return read_run(folder)


@pytest.fixture
def runs(tmp_path):
    joint = {"seg/mIoU": 11.0, "depth/rmse": 1.2, "normals/mean_angle": 27.0}
    return (
        write_run(tmp_path / "joint", joint, minutes=15.0, memory=3.0),
        [
            write_run(tmp_path / "seg", {"mIoU": 10.0, "pixel_accuracy": 40.0}),
            write_run(tmp_path / "depth", {"rmse": 1.0, "rmse_per_image": 0.9}),
            write_run(tmp_path / "normals", {"mean_angle": 30.0}, minutes=5.0),
        ],
    )


def test_gains_by_hand(runs):
    found = compare(*runs)
    gains = {row["figure"]: row["gain"] for row in found["tasks"]}
    # 10 % more is better for mIoU; 20 % more is worse for RMSE; 10 % less is better.
    assert gains == {"mIoU": 10.0, "rmse": -20.0, "mean_angle": 10.0}
    assert found["delta_m"] == pytest.approx(0.0)
    assert found["minutes_ratio"] == pytest.approx(15 / 25)
    assert found["memory_ratio"] == pytest.approx(1.5)
    assert found["memory_sum_ratio"] == pytest.approx(0.5)
    assert "gpu_memory_ratio" not in found
    assert not found["remarks"]


def test_oneself_gains_nothing_and_better_is_never_negative(runs):
    joint, singles = runs
    same = dict(joint, test={"mIoU": 10.0, "rmse": 1.0, "mean_angle": 30.0})
    assert compare(same, singles)["delta_m"] == 0
    better = dict(joint, test={"mIoU": 12.0, "rmse": 0.8, "mean_angle": 20.0})
    assert all(row["gain"] > 0 for row in compare(better, singles)["tasks"])


def test_the_table_has_every_figure_and_what_differs(runs, tmp_path):
    joint, singles = runs
    singles[0]["threads"] = 2
    text = as_table(compare(joint, singles))
    assert "rmse            1.0000    1.2000   -20.00" in text
    assert "Delta_m +0.00 %" in text
    assert "0.60 of the sum of the single runs' training time" in text
    assert "threads differs from that of" in text


def test_misuse_is_named(runs, tmp_path):
    joint, singles = runs
    with pytest.raises(ComparisonError, match="has 3 of the figures"):
        compare(joint, [joint])
    with pytest.raises(ComparisonError, match="has no ods"):
        compare(joint, [write_run(tmp_path / "edges", {"ods": 50.0})])
    with pytest.raises(ComparisonError, match="the same task"):
        compare(joint, [singles[0], singles[0]])
    with pytest.raises(ComparisonError, match="is 0"):
        compare(joint, [write_run(tmp_path / "zero", {"mIoU": 0.0})])
    with pytest.raises(ComparisonError, match="does not exist"):
        read_run(tmp_path / "gone")
    with pytest.raises(ComparisonError, match="--no-test"):
        write_run(tmp_path / "untested", None)
    with pytest.raises(ComparisonError, match="one single-task run or more"):
        compare(joint, [])
