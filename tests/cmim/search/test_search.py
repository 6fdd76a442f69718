"""The search with stored times: sums, fronts, and what it refuses. Nothing is timed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from cmim.analysis.cost import layer_costs, totals
from cmim.engine.config import ConfigError, load_config
from cmim.search import latency_table
from cmim.search.design import Design, Space, designed
from cmim.search.front import front_of
from cmim.search.latency_table import Circumstances, LatencyTable, read_table
from cmim.search.report import draw_front, format_candidates, say_error
from cmim.search.search import build_core, front_by, predict_all
from cmim.search.units import Prefix, Unit, units_of

CONFIGS = Path(__file__).parents[3] / "configs"
HERE = Circumstances("a processor", "2026.0.0-1", 1, "wall", "float32")
SIZE = (64, 96)
SMALL = Space(["pair", "imagenet"], [8, 16], [16, 32], [8], [(), (0,)])


@pytest.fixture(scope="module")
def config():
    return load_config(CONFIGS / "nyud_joint_bireal_fast_small.py")


def by_size(unit: Unit) -> float:
    """Milliseconds that tell units apart: of what they read, and how they are made."""
    return unit.values / 1e3 + len(unit.key) / 1e6


def measure(core, units, places) -> dict[int, float]:
    return {place: by_size(units[place]) for place in places}


@pytest.fixture(scope="module")
def searched(config):
    table = LatencyTable(HERE)
    return predict_all(config, SMALL, SIZE, table, measure), table


def test_a_prediction_is_the_sum_over_the_units_of_the_network(config, searched):
    found, _ = searched
    assert len(found) == 16
    for candidate in (found[0], found[-1]):
        core = build_core(config, candidate.design)
        units = units_of(core, (3, *SIZE))
        # Stem, two blocks in each of four stages, two heads.
        assert len(units) == 1 + 8 + 2
        assert candidate.milliseconds == pytest.approx(sum(map(by_size, units)))


def test_operations_and_values_are_those_of_the_whole_network(config, searched):
    found, _ = searched
    for candidate in found[::5]:
        core = build_core(config, candidate.design)
        whole = totals(layer_costs(core, torch.zeros(1, 3, *SIZE)))
        assert candidate.operations == whole["bops"] + whole["flops"]
        assert candidate.parameters == whole["parameters"]
        assert candidate.megabytes == pytest.approx(whole["memory_mbit"] / 8)


def test_units_have_the_shapes_that_the_network_gives_them(config):
    core = build_core(config, Design("pair", 8, 16, 8))
    seen: dict[str, tuple[int, ...]] = {}
    for name, module in core.backbone.named_modules():
        module.register_forward_pre_hook(
            lambda m, args, name=name: seen.__setitem__(name, tuple(args[0].shape[1:]))
        )
    with torch.no_grad():
        features = core.backbone(torch.zeros(1, 3, *SIZE))
    for unit in units_of(core, (3, *SIZE)):
        if unit.name.startswith("head."):
            assert unit.shapes == tuple(tuple(f.shape[1:]) for f in features)
        elif unit.name != "stem":
            assert unit.shapes == (seen[unit.name],)


@torch.no_grad()
def test_a_network_up_to_a_unit_gives_what_the_unit_gives(config):
    core = build_core(config, Design("grouped", 8, 16, 8))
    x = torch.randn(1, 3, *SIZE)
    units = units_of(core, (3, *SIZE))
    whole = core(x)
    assert all(
        torch.equal(a, b) for a, b in zip(Prefix(core, units)(x), whole, strict=True)
    )
    (first,) = Prefix(core, units[:-1])(x)
    assert torch.equal(first, whole[0])
    assert torch.equal(Prefix(core, units[:1])(x), core.backbone.stem(x))
    levels = core.backbone(x)
    assert torch.equal(Prefix(core, units[:3])(x), levels[0])
    assert torch.equal(Prefix(core, units[:9])(x), levels[3])


def test_a_units_time_is_the_median_of_differences_within_rounds(config, monkeypatch):
    core = build_core(config, Design("pair", 8, 16, 8))
    units = units_of(core, (3, *SIZE))
    monkeypatch.setattr(latency_table, "prepare", lambda module, *_: len(module.names))
    # Rounds that differ much more than the units do, and one that was disturbed.
    rounds = {1: [5, 50, 9], 2: [7, 52, 99], 3: [6, 52, 99], 5: [8, 60, 9]}
    seen = {}

    def times(runs, here, count):
        seen.update(runs)
        return {name: rounds[end] for name, end in runs.items()}

    monkeypatch.setattr(latency_table, "time_runs", times)
    found = latency_table.time_units(core, units, [0, 1, 2], (3, *SIZE), HERE, 3)
    assert set(seen) == {"1", "2", "3"}
    assert found == {0: 9.0, 1: 2.0, 2: 0.0}


@pytest.mark.parametrize(
    "other",
    [
        dict(output_stride=32),
        dict(width=16),
        dict(stem="grouped"),
        dict(head=16),
        dict(real_stages=(3,)),
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_differs_is_timed_anew_and_the_rest_is_not(config, other):
    first = dict(stem="pair", width=8, output_stride=16, head=8)
    keys = [
        {u.key for u in units_of(build_core(config, Design(**o)), (3, *SIZE))}
        for o in (first, {**first, **other})
    ]
    assert keys[1] - keys[0]
    if "width" not in other:
        assert keys[0] & keys[1]


def test_stored_times_give_the_same_front_and_nothing_is_measured(
    config, searched, tmp_path
):
    found, table = searched
    table.save(tmp_path / "times.json")
    again = read_table(tmp_path / "times.json", HERE)

    def refuse(core, units, places):
        raise AssertionError(places)

    repeated = predict_all(config, SMALL, SIZE, again, refuse)
    assert repeated == found
    assert front_by(repeated, "operations") == front_by(found, "operations")


def test_the_front_is_what_no_other_beats(searched):
    found, _ = searched
    for worth in ("operations", "parameters"):
        front = front_by(found, worth)
        for c in found:
            beaten = [
                o
                for o in found
                if (o.milliseconds, -getattr(o, worth))
                != (c.milliseconds, -getattr(c, worth))
                and o.milliseconds <= c.milliseconds
                and getattr(o, worth) >= getattr(c, worth)
            ]
            assert (c in front) == (not beaten)
    assert front_of([]) == []


def test_the_error_is_of_predicted_over_measured(searched, tmp_path):
    found, _ = searched
    chosen = [found[0], found[1]]
    for candidate, factor in zip(chosen, (0.8, 1.25), strict=True):
        candidate.measured = candidate.milliseconds * factor
    try:
        assert [c.error for c in chosen] == pytest.approx([25.0, -20.0])
        assert "off by 22.5 % in the mean, +25.0 % at most" in say_error(chosen)
        table = format_candidates(found[:3]).splitlines()
        assert table[1].endswith("+25.0%")
        assert table[3] == table[3].rstrip()
        draw_front(tmp_path / "a.png", found, "title")
        assert (tmp_path / "a.png").stat().st_size > 10_000
    finally:
        for candidate in chosen:
            candidate.measured = None


def test_times_of_other_circumstances_are_refused(tmp_path):
    LatencyTable(HERE, {"a": 1.0}).save(tmp_path / "times.json")
    other = Circumstances("a processor", "2026.0.0-1", 2, "wall", "int8")
    with pytest.raises(ConfigError) as error:
        read_table(tmp_path / "times.json", other)
    assert "threads was 1 and is 2; rest was 'float32' and is 'int8'" in str(
        error.value
    )
    (tmp_path / "other.json").write_text(json.dumps({"milliseconds": {}}))
    with pytest.raises(ConfigError, match="holds no measurements of a search"):
        read_table(tmp_path / "other.json")


def test_a_design_changes_the_network_and_not_the_config(config):
    before = config.pretty_text
    model = designed(config, Design("grouped", 16, 32, 24, (0,)))
    assert config.pretty_text == before
    assert model["backbone"]["real_stages"] == (0,)
    for head in model["heads"].values():
        assert tuple(head["in_channels"]) == (32, 128)
        assert head["channels"] == 24


@pytest.mark.parametrize(
    ("name", "design", "said"),
    [
        (
            "nyud_joint_bireal_fast_small",
            Design("7x7", 16, 16, 8),
            "no BinaryResNet can be '7x7 16 os16 head8': stem '7x7' is unknown",
        ),
        (
            "nyud_joint_quicknet_fast_small",
            Design("pair", 16, 16, 8),
            "no BinaryQuickNet can be 'pair 16 os16 head8': ",
        ),
        (
            "nyud_joint_mobilenet_v2_small",
            Design(None, 16, 16, 8),
            "no BinarizedEncoder can be '16 os16 head8': ",
        ),
        (
            "cifar10_resnet20_bireal",
            Design(None, 16, 8, 8),
            "no BinaryResNet can be '16 os8 head8': output_stride 8 is unknown",
        ),
    ],
)
def test_what_cannot_be_is_one_sentence(name, design, said):
    with pytest.raises(ConfigError) as error:
        designed(load_config(CONFIGS / f"{name}.py"), design)
    assert str(error.value).startswith(said)


def test_a_head_without_channels_is_refused():
    config = load_config(CONFIGS / "cifar10_resnet20_bireal.py")
    with pytest.raises(ConfigError, match="start from a config of a dense task"):
        designed(config, Design(None, 16, 4, 8))
