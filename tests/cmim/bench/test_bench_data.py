"""What the benchmark of data pipelines compares; figures are only looked at."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from in_process import run_in_process
from mmseg.registry import DATASETS

from cmim.bench.data import bench_data, format_data
from cmim.bench.step_parts import PARTS, format_step_parts, time_step_parts
from cmim.bench.stock_pipeline import build_stock, stock_sample
from cmim.engine.config import ConfigError, load_config

CONFIGS = Path(__file__).parents[3] / "configs"
SMALL = {
    "train_dataloader.batch_size": 2,
    "train_dataloader.num_workers": 0,
    "train_dataloader.dataset.pipeline.0.reduce": 1,
    "train_dataloader.dataset.pipeline.1.base_size": (48, 64),
    "train_dataloader.dataset.pipeline.1.crop_size": (32, 48),
    "model.model.backbone.base_channels": 8,
    "model.model.decode_head.in_channels": 64,
    "model.model.decode_head.channels": 8,
}


def config_of(rooms, name: str = "nyud_seg_bireal_small", **options):
    given = {"data_root": str(rooms), **SMALL, **options}
    return load_config(CONFIGS / f"{name}.py", given)


@pytest.mark.parametrize("name", ["nyud_seg_bireal_small", "nyud_depth_bireal_small"])
def test_the_stock_transforms_do_the_same_work(rooms, name):
    part = config_of(rooms, name).train_dataloader.dataset
    dataset = DATASETS.build(part)
    own = dataset[(3, 0, 0)]
    sample = stock_sample(dataset.get_data_info(3))
    for transform in build_stock(part):
        sample = transform(sample)
    assert sample["inputs"].shape == own["inputs"].shape
    assert sample["inputs"].dtype == own["inputs"].dtype
    truths = [{"gt_sem_seg", "gt_depth_map"} & set(s["data_samples"].keys())
              for s in (sample, own)]  # fmt: skip
    assert truths[0] == truths[1]
    (truth,) = truths[0]
    values = [getattr(s["data_samples"], truth).data for s in (sample, own)]
    assert values[0].shape == values[1].shape
    if truth == "gt_sem_seg":
        assert set(np.unique(values[0])) <= {*range(40), 255}
    else:
        assert 0.1 < values[0].mean() < 10


def test_figures_of_each_pipeline_in_the_same_rounds(rooms):
    config = config_of(rooms)
    figures = bench_data(config, images=4, rounds=3, clock="cpu")
    assert (figures["images"], figures["rounds"]) == (4, 3)
    for name in ("project", "project_first", "stock"):
        assert figures[name]["images_per_second"] > 0
        assert min(figures[name]["ms"].values()) > 0
    assert list(figures["project"]["ms"]) == [
        "LoadFrame",
        "AugmentFrame",
        "PackSegInputs",
    ]
    # With its cache, reading is a small part of what it is without.
    loads = [figures[n]["ms"]["LoadFrame"] for n in ("project", "project_first")]
    assert loads[0] < loads[1]
    text = format_data(figures)
    assert f"{figures['ratio']:.2f} times as fast" in text
    assert len(text.splitlines()) == 4


def test_without_a_cache_there_is_no_first_epoch(rooms):
    options = {"train_dataloader.dataset.pipeline.0.cache": False}
    figures = bench_data(config_of(rooms, **options), images=2, rounds=1)
    assert "project_first" not in figures
    assert "first epoch" not in format_data(figures)


def test_pipelines_without_a_counterpart_are_said(pictures):
    config = load_config(
        CONFIGS / "cifar10_resnet20_bireal.py", {"data_root": str(pictures)}
    )
    with pytest.raises(ConfigError, match="no transform with base_size"):
        bench_data(config, images=2, rounds=1)


@pytest.mark.full
def test_parts_of_a_step_are_all_of_it(rooms):
    figures = time_step_parts(config_of(rooms), steps=2, warm_up=1)
    assert sum(figures[part]["share"] for part in PARTS) == pytest.approx(1, abs=1e-3)
    assert min(figures[part]["ms"] for part in PARTS) > 0
    assert (figures["batch"], figures["workers"]) == (2, 0)
    assert len(format_step_parts(figures).splitlines()) == len(PARTS) + 1


@pytest.mark.full
def test_the_tool(rooms, tmp_path):
    options = [f"{name}={value}".replace(" ", "") for name, value in SMALL.items()]
    done = run_in_process(
        *("bench", "data", CONFIGS / "nyud_seg_bireal_small.py"),
        *("--images", "2", "--rounds", "2", "--steps", "1"),
        *("--json", tmp_path / "data.json"),
        *("--cfg-options", f"data_root={rooms}", *options),
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads((tmp_path / "data.json").read_text())
    assert found["ratio"] > 0
    assert found["step"]["steps"] == 1
