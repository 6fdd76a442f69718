"""Kinds of passes at several numbers of threads, and clocks of the benchmark."""

from __future__ import annotations

import time

import pytest

pytest.importorskip("openvino")

import torch
from torch import nn

from cmim.bench.latency.measure import bench_latency
from cmim.bench.latency.passes import profile_passes, say_passes
from cmim.bench.latency.variants import Variant
from cmim.bench.turns import time_turns
from cmim.deploy.openvino_export import convert_packed, save_model
from cmim.deploy.shared_core import FLOAT32
from cmim.engine.config import ConfigError, load_config

PASSES = dict(
    kinds={
        "binary convolutions": {"1": 6.0, "2": 3.0},
        "element-wise": {"1": 0.75, "2": 0.5},
    },
    element_wise=[
        dict(operations="bn1", output="1x8x4x4", ms={"1": 0.25, "2": 0.25}),
        dict(operations="add,relu", output="1x8x8x8", ms={"1": 0.5, "2": 0.25}),
    ],
)


class Shortcut(nn.Module):
    """A convolution beside products that no convolution can take."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x):
        return self.conv(x * x.flip(3).tanh())


@torch.no_grad()
def test_element_wise_passes_are_found_and_named(tmp_path):
    example = torch.randn(1, 8, 16, 16)
    path = tmp_path / "net.xml"
    save_model(convert_packed(Shortcut().eval(), example), path)
    variant = Variant("net", "net", path=str(path), options=dict(FLOAT32))
    found = profile_passes(variant, example, (1, 2))
    assert set(found["kinds"]["other convolutions"]) == {"1", "2"}
    assert found["element_wise"], found["kinds"]
    made = " ".join(row["operations"] for row in found["element_wise"]).lower()
    assert "mul" in made
    assert all(row["output"] == "1x8x16x16" for row in found["element_wise"])
    total = sum(row["ms"].get("1", 0) for row in found["element_wise"])
    assert total == pytest.approx(found["kinds"]["element-wise"]["1"], abs=0.01)


def test_passes_are_said_and_listed_costliest_first():
    line, count, first, second = say_passes(PASSES, listed=True)
    assert line == (
        "ms at 1 and 2 threads: binary convolutions 6.0, 3.0; element-wise 0.8, 0.5"
    )
    assert count == "element-wise passes: 2"
    assert "1x8x8x8" in first
    assert "add,relu" in first
    assert "bn1" in second
    assert len(say_passes(PASSES, listed=False)) == 2
    assert say_passes(dict(kinds={}, element_wise=[]), listed=True) == []


def test_the_processors_time_leaves_out_waiting():
    turns = {"wait": lambda: time.sleep(0.05)}
    (waited,) = time_turns(turns, rounds=1, warm_up=0)["wait"]
    (spent,) = time_turns(turns, 1, 0, clock=time.process_time)["wait"]
    assert waited >= 0.05
    assert spent < 0.02


def test_the_processors_time_of_two_threads_is_refused():
    config = load_config("configs/nyud_seg_bireal_small.py")
    with pytest.raises(ConfigError, match="--threads 1"):
        bench_latency(config, threads=(1, 2), clock="cpu")
