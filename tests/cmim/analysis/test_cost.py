"""Costs by hand, and against the figures that papers publish."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from in_process import run_in_process
from torch import nn

from cmim.analysis.cost import layer_costs, totals
from cmim.encoders import (
    BinaryBNext,
    BinaryMobileNetV1,
    BinaryMobileNetV2,
    BinaryResNet,
)
from cmim.engine.config import ConfigError, load_config
from cmim.inspect.summary import as_table, one_sentence, summarize
from cmim.layers import ConvUnit
from cmim.methods import available_methods, get_method

ROOT = Path(__file__).resolve().parents[3]


def unit_totals(method: str | dict) -> dict[str, float]:
    """Of a 3x3 unit from 8 to 4 channels at 5x6 pixels: 8,640 MACs, 288 weights."""
    unit = ConvUnit(get_method(method), 8, 4, 3)
    return totals(layer_costs(unit, torch.randn(1, 8, 5, 6)))


@pytest.mark.parametrize(
    ("method", "bops", "flops", "bits"),
    [
        ("fp", 0, 8640, 288 * 32),
        ("bnn", 8640, 0, 288),  # scale 1
        ("bireal", 8640, 0, 288 + 4 * 32),  # a scale per filter
        ("dorefa", 8640, 0, 288 + 32),  # a scale for the layer
        ("binary_connect", 0, 8640, 288),  # real activations
        ("reactnet", 8640, 0, 288 + 4 * 32 + 8 * 32),  # and a threshold per channel
        ({"name": "reactnet", "step": 1}, 0, 8640, (288 + 8) * 32),
        # An output scale, and the grid of one.
        ("rbnn", 8640, 0, 288 + 4 * 32),
        # One scale for the layer, and slopes of a PReLU.
        ("bihalf", 8640, 0, 288 + 32 + 4 * 32),
        # A slope for each channel stands behind the addition, outside of the unit.
        ("bonn", 8640, 0, 288 + 32),
        # A gate of 8 -> 8 -> 4 channels, which multiplies once for a picture.
        ("real_to_binary", 8640, 96, 288 + (96 + 4) * 32),
        ("siman", 8640, 0, 288 + 4 * 32),
        ("xnor_net_pp", 8640, 0, 288 + (4 + 8 + 8) * 32),
        # Training alone needs proxy matrices; alpha of the surrogate is counted.
        ("proxy_bnn", 8640, 0, 288 + 4 * 32),
        ("dsq", 8640, 0, 288 + 32 + 3 * 32),
        # Training alone needs the noise adaptations; the slope of a PReLU is counted.
        ("fda", 8640, 0, 288 + 4 * 32 + 32),
        # 3 x 3 bases: scales of 4 filters, and 3 shifts and scales of activations.
        ("abc_net", 9 * 8640, 0, 3 * 288 + (3 * 4 + 6) * 32),
        # Even levels of k bits are k binary tensors, others one for each.
        ({"name": "dorefa", "activation_bits": 8}, 8 * 8640, 0, 288 + 32),
        ({"name": "dorefa", "weight_bits": 2}, 2 * 8640, 0, 2 * (288 + 32)),
        # Levels of 4 filters and of the activations; the offset is one filter of 4.
        ("adabin", 8640 + 8640 // 4, 0, 288 + (2 * 4 + 2) * 32),
        # Two signs of one bit a weight, and half of one scale for each.
        ("twn", 0, 8640, 2 * 288 + 2 * 32),
        ({"name": "twn", "activations": "sign"}, 2 * 8640, 0, 2 * (288 + 32)),
        ("hwgq", 2 * 8640, 0, 288 + 4 * 32 + 2 * 8 * 32),
        (
            {"name": "hwgq", "uniform": False, "normalize": False},
            3 * 8640,
            0,
            288 + 4 * 32,
        ),
        ("bireal+bidense_binarizer", 8640, 0, 288 + 4 * 32 + 3 * 8 * 32),
        ("reactnet+unbalanced", 8640, 0, 288 + 4 * 32 + 8 * 32),
    ],
    ids=str,
)
def test_a_unit_by_hand(method, bops, flops, bits):
    found = unit_totals(method)
    batch_norm = 2 * 4 * 32
    assert found["bops"] == bops
    assert found["flops"] == flops
    assert found["ops"] == bops / 64 + flops
    assert found["memory_mbit"] == pytest.approx((bits + batch_norm) / 1e6)


def test_strides_groups_and_linear_layers_by_hand():
    net = nn.Sequential(
        nn.Conv2d(4, 8, 3, stride=2, padding=1, groups=2),
        nn.Flatten(),
        nn.Linear(72, 5),
    )
    rows = layer_costs(net, torch.zeros(1, 4, 5, 5))
    assert [row.flops for row in rows] == [3 * 3 * 8 * 2 * 9, 72 * 5]
    assert [row.parameters for row in rows] == [8 * 2 * 9 + 8, 72 * 5 + 5]


def test_a_module_used_twice_works_twice_and_is_stored_once():
    conv = nn.Conv2d(3, 3, 1, bias=False)
    rows = layer_costs(nn.Sequential(conv, conv), torch.zeros(1, 3, 2, 2))
    assert [row.flops for row in rows] == [36, 36]
    assert totals(rows)["parameters"] == 9


@pytest.mark.parametrize("method", available_methods())
def test_every_method_has_a_cost(method):
    model = BinaryResNet(depth=20, base_channels=4, method=method)
    found = totals(layer_costs(model, torch.randn(1, 3, 16, 16)))
    chosen = get_method(method)
    assert (found["bops"] > 0) == (None not in (chosen.weight, chosen.activation))
    assert (
        0
        < found["memory_mbit"]
        < 32e-6 * sum(p.numel() for p in model.parameters()) + 1e-9
    )


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_left_as_it_was(training):
    model = BinaryResNet(depth=20, method="irnet").train(training)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    layer_costs(model, torch.randn(1, 3, 32, 32))
    assert model.training == training
    assert all(torch.equal(model.state_dict()[k], v) for k, v in before.items())
    assert not any(m._forward_hooks for m in model.modules())


@pytest.mark.parametrize(
    ("config", "ops", "memory"),
    [
        # He et al., as counted in Bi-Real Net's Table 3.
        ("imagenet_resnet18_fp", (1.81e9, 1.82e9), 374.1),
        # Published 1.63e8; with the classifier's 5e5 it is 1.640e8.
        ("imagenet_resnet18_bireal", (1.63e8, 1.641e8), 33.6),
        # ReActNet, Table 1.
        ("imagenet_reactnet_a", (0.865e8, 0.875e8), None),
    ],
)
def test_published_totals(config, ops, memory):
    found = summarize(load_config(ROOT / "configs" / f"{config}.py"))["totals"]
    assert ops[0] <= found["ops"] <= ops[1]
    if memory is not None:
        assert found["memory_mbit"] == pytest.approx(memory, abs=0.1)


@pytest.mark.parametrize(
    ("encoder", "channels", "macs", "parameters"),
    [
        # 4.1 GFLOPs and 7.8 are what torchvision states for its "v1.5"; parameters
        # are those of its weights.
        (
            lambda: BinaryResNet(50, "fp", shortcuts="per_block"),
            2048,
            4.089e9,
            25557032,
        ),
        (
            lambda: BinaryResNet(101, "fp", shortcuts="per_block"),
            2048,
            7.801e9,
            44549160,
        ),
        # Sandler et al., Table 4: 300 million; 0.301e9 in torchvision.
        (
            lambda: BinaryMobileNetV2("fp", shortcuts="per_block"),
            1280,
            0.301e9,
            3504872,
        ),
        # Howard et al., Table 8: 569 million and 4.2 million.
        (lambda: BinaryMobileNetV1("fp", shortcuts="none"), 1024, 0.569e9, 4.2e6),
        # The same, Table 6: width 0.25, 41 million and 0.5 million.
        (lambda: BinaryMobileNetV1("fp", base_channels=8), 256, 0.041e9, 0.47e6),
    ],
    ids=["resnet50", "resnet101", "mobilenet_v2", "mobilenet", "mobilenet_0.25"],
)
def test_published_totals_of_full_precision(encoder, channels, macs, parameters):
    """With a classifier of 1,000 classes, to the digits that are published."""
    net = encoder().eval()
    found = totals(layer_costs(net, torch.zeros(1, 3, 224, 224)))
    assert found["bops"] == 0
    assert found["flops"] + 1000 * channels == pytest.approx(macs, abs=0.5e6)
    count = found["parameters"] + 1000 * channels + 1000
    assert count == pytest.approx(parameters, rel=0.01 if parameters < 5e6 else 0)


@pytest.mark.full
def test_published_binary_operations_of_reactnet_a():
    config = load_config(ROOT / "configs" / "imagenet_reactnet_a.py")
    found = summarize(config)["totals"]
    assert found["bops"] == pytest.approx(4.82e9, rel=0.002)
    assert found["flops"] == pytest.approx(0.12e8, rel=0.02)


@pytest.mark.full
def test_published_binary_operations_of_bnext_tiny():
    """97.81 % of 0.077e9 operations, as its code's page states, times 64."""
    net = BinaryBNext("reactnet").eval()
    found = totals(layer_costs(net, torch.zeros(1, 3, 224, 224)))
    assert found["bops"] == pytest.approx(0.9781 * 0.077e9 * 64, rel=0.001)


def test_the_table_has_a_line_per_convolution_and_sums_the_rest():
    config = load_config(ROOT / "configs" / "cifar10_resnet20_bireal.py")
    summary = summarize(config)
    assert summary["image"] == [32, 32]
    lines = as_table(summary).splitlines()
    assert len(lines) == 1 + 20 + 1
    assert len(as_table(summary, every=True).splitlines()) == 1 + len(summary["layers"])
    assert "OPs 1.07e+06 = BOPs 4.011e+07 / 64 + FLOPs 4.43e+05" in one_sentence(
        summary
    )


def test_a_config_without_an_image_size_asks_for_one():
    config = load_config(ROOT / "configs" / "cifar10_resnet20_bireal.py")
    for loader in (config.train_dataloader, config.test_dataloader):
        loader.dataset.pipeline = []
    with pytest.raises(ConfigError, match="give --size HEIGHT WIDTH"):
        summarize(config)
    assert summarize(config, (64, 64))["image"] == [64, 64]


def test_the_tool_writes_the_totals(tmp_path):
    written = tmp_path / "summary.json"
    size = ("--size", 16, 16, "--json", written)
    done = run_in_process("summary", "configs/cifar10_resnet20_bireal.py", *size)
    assert done.returncode == 0, done.stderr
    found = json.loads(written.read_text())
    assert set(found["totals"]) >= {"ops", "bops", "flops", "memory_mbit"}
    assert found["totals"]["bops"] == 40_108_032 / 4
    assert "16x16: OPs" in done.stdout.splitlines()[-1]
