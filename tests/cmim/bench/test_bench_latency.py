"""What the latency benchmark compares and computes; nothing here is judged by time."""

from __future__ import annotations

import json
import re

import pytest

pytest.importorskip("openvino")

import torch

from cmim.bench.latency.measure import bench_latency, input_size
from cmim.bench.latency.profile import binary_operations, say_bound
from cmim.bench.latency.report import draw_latency, format_latency
from cmim.bench.latency.timing import BASELINES, summarise, why_not
from cmim.bench.latency.variants import Variant, build_networks
from cmim.engine.config import ConfigError, load_config

CONFIG = "configs/nyud_seg_bireal_binary_head_small.py"
TINY = {
    "model.model.backbone.base_channels": 8,
    "model.model.decode_head.in_channels": 64,
    "model.model.decode_head.channels": 8,
}


@pytest.fixture(scope="module")
def figures(tmp_path_factory) -> dict:
    out = tmp_path_factory.mktemp("latency")
    config = load_config(CONFIG, TINY)
    found = bench_latency(config, size=(40, 48), threads=(1,), rounds=1, out=out)
    return dict(found, out=str(out))


@pytest.mark.slow
def test_every_variant_is_timed_or_explained(figures):
    times = figures["threads"]["1"]["ms"]
    for name, row in figures["variants"].items():
        assert (name in times) == (row["note"] is None), name
    assert {"torch_fp32", "torch_simulation", "openvino_fp32", "one_bit"} <= set(times)
    assert all(ms > 0 for ms in times.values())


@pytest.mark.slow
def test_speedups_belong_to_the_times(figures):
    row = figures["threads"]["1"]
    ours = row["ms"][row["fastest"]]
    for key, baseline in BASELINES.items():
        if baseline in row["ms"]:
            assert row[key] == pytest.approx(row["ms"][baseline] / ours, rel=0.1)
    sizes = {k: v["megabytes"] for k, v in figures["variants"].items()}
    ratio = sizes["openvino_fp32"] / sizes[row["fastest"]]
    assert row["size_ratio"] == pytest.approx(ratio, rel=0.02)


@pytest.mark.slow
def test_report_and_picture(figures, tmp_path):
    text = format_latency(figures, nodes=5)
    assert "OpenVINO, 1-bit" in text
    assert "thread: the speed of" in text
    assert text.count("backbone.") >= 1
    draw_latency(tmp_path / "bars.png", figures, "tiny")
    assert (tmp_path / "bars.png").stat().st_size > 1000
    json.dumps(figures)


@pytest.mark.slow
def test_memory_is_measured_in_processes_of_their_own(figures):
    peaks = [
        row["peak_mb"]
        for name, row in figures["variants"].items()
        if row["note"] is None and name != "torch_compile"
    ]
    assert all(0 < peak < 2000 for peak in peaks)


def test_speedups_are_medians_of_paired_ratios():
    sizes = dict(torch_fp32=12.0, openvino_fp32=12.0, openvino_int8=3.0, one_bit=0.5)
    variants = [Variant(name, name, mb) for name, mb in sizes.items()]
    times = dict(
        torch_fp32=[10.0, 30.0, 20.0],
        openvino_fp32=[8.0, 24.0, 12.0],
        openvino_int8=[3.0, 6.0, 6.0],
        one_bit=[1.0, 3.0, 1.0],
    )
    row = summarise(variants, times)
    assert row["fastest"] == "one_bit"
    assert row["size_ratio"] == 24
    # Ratios 10, 10, 20; 8, 8, 12; 3, 2, 6.
    assert row["speedup_vs_torch_fp32"] == 10
    assert row["speedup_vs_openvino_fp32"] == 8
    assert row["speedup_vs_openvino_int8"] == 3
    assert row["ms"]["torch_fp32"] == 20


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("openvino_int8", RuntimeError("at core.cpp\nno kernel"), "no kernel"),
        ("torch_compile", OSError("no compiler\nmore"), "no compiler"),
        ("one_bit", RuntimeError("no kernel"), None),
        ("openvino_int8", TypeError("ours"), None),
    ],
)
def test_what_the_engine_refuses_leaves_a_note_and_the_rest_is_timed(name, error, said):
    variant = Variant(name, "", path="net.xml")
    if said is None:
        with pytest.raises(type(error)):
            why_not(variant, error)
    else:
        assert re.fullmatch(f"not measured: .*{said}", why_not(variant, error))


def test_the_mixed_variant_counts_where_it_exists():
    variants = [Variant("one_bit", "", 2.0), Variant("one_bit_int8", "", 1.0)]
    variants += [Variant("openvino_fp32", "", 8.0)]
    times = dict(one_bit=[4.0], one_bit_int8=[2.0], openvino_fp32=[8.0])
    row = summarise(variants, times)
    assert row["fastest"] == "one_bit_int8"
    assert row["speedup_vs_openvino_fp32"] == 4
    assert row["speedup_vs_openvino_fp32_one_bit_only"] == 2
    assert "speedup_vs_torch_fp32" not in row


def test_operations_of_the_binary_layers():
    config = load_config(CONFIG, TINY)
    binary, _ = build_networks(config.model.model, None, None, {})
    found = binary_operations(binary, torch.zeros(1, 3, 32, 32))
    # 32x32 has 8x8 after the stem and stage 1 and 4x4 behind; 8, 16, 32, 64 channels;
    # the head has 8 channels, three 3x3 and four 1x1 convolutions.
    stage1 = 4 * 8 * 8 * 9 * 64
    later = sum((c // 2 * c + 3 * c * c) * 9 * 16 for c in (16, 32, 64))
    head = (3 * 9 + 4) * 8 * 8 * 16
    assert found == 2 * (stage1 + later + head)


def test_size_comes_from_the_test_pipeline_or_is_asked_for():
    assert input_size(load_config(CONFIG)) == (120, 160)
    config = load_config(CONFIG)
    config.test_dataloader.dataset.pipeline.pop(1)
    with pytest.raises(ConfigError, match="--size 480 640"):
        input_size(config)


def test_accuracy_needs_a_checkpoint():
    with pytest.raises(ConfigError, match="CHECKPOINT"):
        bench_latency(load_config(CONFIG), images=3)


def test_what_bounds_the_network_is_said():
    profile = dict(
        kinds={"binary convolutions": 6.0, "thresholds": 2.0},
        total_ms=8.0,
        binary_tops=2.0,
        cached_tops=2.5,
    )
    assert "arithmetic bounds them" in say_bound(profile)
    assert "memory bounds them" in say_bound({**profile, "binary_tops": 1.0})
    turned = {**profile, "kinds": {"other convolutions": 5.0, "thresholds": 3.0}}
    assert "would lift it" in say_bound(turned)
