"""Reports of records from outside: odd names are shown, odd parts refused."""

from __future__ import annotations

import json
import math

import pytest
from report_cases import RECORDS, record

from cmim.json_file import JsonFileError
from cmim.suite.record import check_record, read_records
from cmim.suite.report import write_report
from cmim.suite.report.charts import loss_curves, pareto_front
from cmim.suite.rows import rows_of

FRAME = dict(frame="0007", image=None, tasks={})
TIMED = dict(ms=1.5, spread_ms=[1, 2.0], clock="cpu", threads=1)
TESTED = dict(images=2, clean={"mIoU": 1.0}, kinds={"fog": {"1": {"mIoU": 0.5}}})


@pytest.mark.parametrize("title", [r"$\frac{$", "$x$ and $y$", "_hidden", "a_b^c", ""])
def test_labels_are_shown_as_they_are(title):
    rows = rows_of([record(title, "kd", 0, 5.0), record("fp", "kd", 0, 6.0)])
    for drawing in (
        loss_curves(rows),
        pareto_front(rows, "mIoU", higher=True, cost="ops"),
    ):
        assert f">{title}, kd</text>" in drawing
        assert ">fp, kd</text>" in drawing


def test_names_of_figures_are_no_formulas():
    name = r"$\frac{$/mIoU"
    rows = rows_of([record("fp", "kd", 0, 0.0, test={name: 5.0}, main={name: True})])
    assert f">{name}</text>" in pareto_front(rows, name, higher=True, cost="ops")


@pytest.mark.parametrize(
    ("part", "value", "said"),
    [
        ("examples", [dict(FRAME, tasks={"seg": dict(truth=7, prediction=None)})],
         "examples is .*, expected a list of frames"),
        ("examples", [dict(frame="0007")], "examples is"),
        ("examples", {"0": FRAME}, "examples is"),
        ("latency", {"ms": 1}, "latency is {'ms': 1}, expected .* spread_ms"),
        ("latency", dict(TIMED, spread_ms=[1]), "latency is"),
        ("latency", dict(TIMED, ms=math.inf), "latency is"),
        ("robustness", dict(TESTED, kinds={"fog": {}}), "robustness is"),
        ("robustness", dict(TESTED, clean={"mIoU": "5"}), "robustness is"),
        ("labels", {"loss": 3}, "labels is {'loss': 3}, expected texts by axis"),
        ("seed", True, "seed is True, expected a whole number"),
        ("status", "done", "status is 'done', expected 'ok' or 'failed'"),
        ("trace", {"every": 1, "loss": ["3"]}, "trace is"),
        ("cost", {"ops": 10**400}, "cost is"),
        ("test", {"per_class": {"wall": 3}}, "test is"),
        ("main", ["mIoU"], "main is"),
        ("machine", {"flags": 3}, "machine is"),
        ("sums", {"digest": None}, "sums is"),
        ("resolved", None, "resolved is missing"),
    ],
)  # fmt: skip
def test_parts_of_another_kind_are_refused_in_a_sentence(tmp_path, part, value, said):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(record("fp", "kd", 0, 5.0) | {part: value}))
    with pytest.raises(JsonFileError, match=rf"a.json' is no record of a run: {said}"):
        read_records(tmp_path)


@pytest.mark.parametrize(
    "more",
    [
        dict(examples=[dict(FRAME, tasks={"seg": dict(truth=None, prediction=None)})]),
        dict(examples={"note": "not drawn: no picture"}),
        dict(examples=None, latency=None, robustness=None, trace=None, cost={}),
        dict(latency=TIMED, robustness=TESTED),
        dict(latency={"note": "a"}, robustness={"note": "b"}),
        dict(test={"mIoU": math.nan, "per_class": {"wall": {"iou": None}}}),
    ],
)
def test_what_is_accepted_can_be_reported(tmp_path, more):
    found = record("fp", "kd", 0, 5.0, **more)
    check_record(found, tmp_path / "a.json")
    write_report([found], tmp_path)
    assert (tmp_path / "index.html").is_file()


def test_records_of_runs_are_accepted(tmp_path):
    for each in RECORDS:
        check_record(each, tmp_path / "a.json")
