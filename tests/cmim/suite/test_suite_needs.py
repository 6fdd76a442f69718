"""Runs that others need: found at any depth, in front, named, refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from suite_cases import NEEDS

from cmim.engine.config import ConfigError
from cmim.suite.estimate import estimate_minutes
from cmim.suite.record import failed
from cmim.suite.rows import rows_of
from cmim.suite.schedule import Places
from cmim.suite.select import select


def test_a_needed_run_stands_in_front_once_a_seed(plan):
    runs = plan(NEEDS)
    assert [run.labels for run in runs].count({"needed": "twin"}) == 2
    order = [run.key for run in runs]
    students = [run for run in runs if run.labels.get("loss") == "teacher"]
    for run in students:
        assert order.index(run.needs[0]) < order.index(run.key)
        assert run.options["model.teacher"] == f"run:{run.needs[0]}"
    twins = {run.seed: run.key for run in runs if "needed" in run.labels}
    assert {run.seed: run.needs for run in students} == {
        seed: [key] for seed, key in twins.items()
    }


def test_a_needed_run_is_found_at_any_depth(plan):
    teacher = '"model.teacher": "{twin}"'
    assert teacher in NEEDS
    deep = '"model": {"partner": "teacher", "teacher": "{twin}"}'
    runs = plan(NEEDS.replace(f'"model.partner": "teacher", {teacher}', deep))
    twins = {run.seed: run.key for run in runs if "needed" in run.labels}
    students = [run for run in runs if run.labels.get("loss") == "teacher"]
    assert len(students) == len(twins) == 2
    for run in students:
        assert run.needs == [twins[run.seed]]
        assert run.options["model"]["teacher"] == f"run:{twins[run.seed]}"
        assert run.resolved["model"]["teacher"] == f"run:{twins[run.seed]}"


TWO_CONFIGS = """
seeds = [0, 1]
steps = 4
needs = dict(twin={"model.partner": "none", "model.model.backbone.method": "fp"})
axes = dict(
    task=dict(
        seg=dict(config="rooms_seg_bireal"),
        depth=dict(config="rooms_depth_bireal"),
    ),
    loss=dict(
        a={"model.partner": "teacher", "model.teacher": "{twin}"},
        b={"model.partner": "teacher", "model.teacher": "{twin}", "model.pixels": 4},
    ),
)
"""


def test_one_name_under_two_configs_means_two_rows_of_the_report(plan):
    runs = plan(TWO_CONFIGS)
    assert len(runs) == 12
    twins = [run for run in runs if "needed" in run.labels]
    assert [(run.labels, run.seed) for run in twins] == [
        ({"needed": "twin", "task": task}, seed)
        for task in ("seg", "depth")
        for seed in (0, 1)
    ]
    for run in runs:
        for twin in twins:
            assert (twin.key in run.needs) == (
                (run.seed, run.labels["task"]) == (twin.seed, twin.labels["task"])
                and "needed" not in run.labels
            )
    records = [dict(failed(run, ""), status="ok", test={"mIoU": 1}) for run in runs]
    assert len(rows_of(records)) == 2 + 4
    # Nothing is said that is not needed to tell them apart.
    twins = [run for run in plan(NEEDS) if "needed" in run.labels]
    assert {tuple(run.labels) for run in twins} == {("needed",)}


def test_values_that_share_a_needed_run_are_joined(plan):
    third = """        again=dict(config="rooms_seg_bireal", **{"model.pixels": 8}),
        depth="""
    text = TWO_CONFIGS.replace("        depth=", third).replace(
        ', "model.pixels": 4', ""
    )
    text = text.replace(
        '        b={"model.partner": "teacher", "model.teacher": "{twin}"},\n', ""
    )
    twins = [run.labels for run in plan(text) if "needed" in run.labels]
    assert [labels["task"] for labels in twins[::2]] == ["seg/again", "depth"]


TWICE = """
config = "rooms_seg_bireal"
needs = dict(
    twin={"model.partner": "none"},
    other={"config": "rooms_depth_bireal", "model.partner": "teacher",
           "model.teacher": "{twin}"},
)
axes = dict(loss=dict(a={"model.partner": "teacher", "model.teacher": "{twin}",
                         "model.model.backbone.init_from": "{other}"}))
"""


def test_two_runs_of_one_name_for_one_row_are_refused(plan):
    with pytest.raises(ConfigError, match=r"'twin' in needs means 2 runs, and no axis"):
        plan(TWICE)


def test_minutes_of_two_configs_are_two_kinds(plan, monkeypatch, tmp_path):
    timed = []

    def seconds(_, run):
        timed.append(run.config)
        return 60.0 if run.config == "rooms_seg_bireal" else 120.0

    monkeypatch.setattr("cmim.suite.estimate.Timing.seconds", seconds)
    # As before runs of one name were told apart.
    runs = [replace(run, labels={"needed": "twin"}) for run in plan(TWO_CONFIGS)]
    minutes = estimate_minutes(runs, Places(tmp_path / "results", tmp_path / "work"))
    assert sorted(timed) == ["rooms_depth_bireal", "rooms_seg_bireal"]
    for run in runs:
        assert minutes[run.key] == (4 if run.config == "rooms_seg_bireal" else 8)


CHAIN = """
config = "rooms_seg_bireal"
needs = dict(
    big={"model.partner": "none", "model.model.backbone.method": "fp"},
    small={"model.partner": "teacher", "model.teacher": "{big}"},
)
axes = dict(loss=dict(a={"model.partner": "teacher", "model.teacher": "{small}"}))
"""


def test_a_needed_run_may_need_another(plan):
    runs = plan(CHAIN)
    assert [list(run.labels.values()) for run in runs] == [["big"], ["small"], ["a"]]
    assert [run.needs for run in runs] == [[], [runs[0].key], [runs[1].key]]
    chosen = select(runs, ["loss=a"])
    assert chosen == runs


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"{big}"', '"{small}"', "small needs small, so that none of them can begin"),
        ('"{small}"})', '"{small}/last.pth"})', "must be '{small}' alone"),
        ("needs = ", 'options = {"model.teacher": "{big}"}\nneeds = ',
         "options hold for needed runs, too"),
    ],
)  # fmt: skip
def test_needs_that_cannot_be_met_are_said(plan, old, new, said):
    assert old in CHAIN
    with pytest.raises(ConfigError) as error:
        plan(CHAIN.replace(old, new))
    assert said in str(error.value)
