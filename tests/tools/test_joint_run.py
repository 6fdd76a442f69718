"""A joint run as a person makes it: trained, tested, predicted, compared."""

import json
from pathlib import Path

import pytest
from in_process import run_in_process

pytestmark = pytest.mark.slow

TINY = [
    "model.model.backbone.base_channels=8",
    *(f"model.model.heads.{t}.in_channels=64" for t in ("seg", "depth", "normals")),
    *(f"model.model.heads.{t}.channels=8" for t in ("seg", "depth", "normals")),
    "model.pixels=4",
    "train_dataloader.batch_size=2",
    "train_dataloader.dataset.pipeline.0.reduce=1",
    "train_dataloader.dataset.pipeline.2.base_size=(48,64)",
    "train_dataloader.dataset.pipeline.2.crop_size=(32,48)",
    "test_dataloader.dataset.pipeline.2.size=(48,64)",
    "train_cfg.max_iters=4",
]


@pytest.fixture(scope="module")
def joint_run(rooms, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("joint")
    config = "configs/nyud_joint_bireal_small.py"
    options = ("--cfg-options", f"data_root={rooms}", *TINY)
    done = run_in_process("train", config, "--work-dir", folder, *options)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def test_all_metrics_stand_in_one_table(joint_run):
    figures = json.loads((joint_run / "metrics.json").read_text())["test"]
    expected = {"seg/mIoU", "depth/rmse", "normals/mean_angle", "normals/median_angle"}
    assert expected <= set(figures)
    assert 0 < figures["normals/mean_angle"] < 180


def test_the_tools_test_and_compare(rooms, joint_run, tmp_path):
    figures = tmp_path / "figures.json"
    done = run_in_process(
        *("test", "configs/nyud_joint_bireal_small.py"),
        *(joint_run / "last.pth", "--json", figures),
        *("--save-predictions", tmp_path / "predictions"),
        *("--cfg-options", f"data_root={rooms}", *TINY),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    measured = json.loads(figures.read_text())
    final = json.loads((joint_run / "metrics.json").read_text())["test"]
    for name in ("seg/mIoU", "depth/rmse", "normals/median_angle"):
        assert measured[name] == final[name]
    for kind in ("labels", "depth", "normals"):
        found = list((tmp_path / "predictions").glob(f"*_{kind}.png"))
        assert len(found) == measured["images"]

    single = tmp_path / "depth"
    single.mkdir()
    (single / "run.json").write_text((joint_run / "run.json").read_text())
    record = json.loads((joint_run / "metrics.json").read_text())
    record["test"] = {"rmse": 2 * final["depth/rmse"]}
    (single / "metrics.json").write_text(json.dumps(record))
    config = "nyud_joint_bireal_small.py"
    (single / config).write_text((joint_run / config).read_text())
    found = tmp_path / "found.json"
    done = run_in_process(
        *("compare_tasks", joint_run, single),
        *("--time-steps", "1", "--json", found),
    )
    assert done.returncode == 0, done.stderr
    assert "Delta_m +50.00 %" in done.stdout
    assert list(json.loads(found.read_text())["step"]["ms"]) == [
        str(joint_run),
        str(single),
    ]


def test_misuse_of_the_comparison_is_one_sentence(tmp_path):
    done = run_in_process("compare_tasks", tmp_path, tmp_path)
    assert done.returncode == 2
    assert "run.json' does not exist; give the folder" in done.stderr
    assert "Traceback" not in done.stderr
