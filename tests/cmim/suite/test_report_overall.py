"""Binary rows against full precision in the report, by values worked out by hand."""

from __future__ import annotations

import math
import re

import pytest
from report_cases import record

from cmim.suite.full_precision import counterpart_of
from cmim.suite.report.overall import overall_lines
from cmim.suite.report.page import write_page
from cmim.suite.report.robustness import corruption_tables
from cmim.suite.report.tables import as_csv
from cmim.suite.rows import Row, rows_of


def run(
    task: str, encoder: str, method: str, value: float, loss="none", **more
) -> dict:
    """A record of one task; RMSE for depth, mIoU for seg."""
    figure = {"seg": "mIoU", "depth": "rmse"}[task]
    labels = {"task": task, "encoder": encoder, "method": method, "loss": loss}
    return record(
        method, f"{task}{encoder}{loss}", 0, 0.0, labels=labels,
        test={figure: value}, main={figure: figure == "mIoU"}, data="d",
        network={"encoder": encoder, "depth": 18, "method": method}, **more,
    )  # fmt: skip


def rows(*records: dict) -> list[Row]:
    return rows_of(list(records))


TABLE = [
    run("seg", "ResNet", "fp", 40.0),
    run("seg", "ResNet", "bireal", 20.0),
    run("seg", "VGG", "fp", 30.0),
    run("seg", "VGG", "bireal", 27.0),
    run("depth", "ResNet", "fp", 0.6),
    run("depth", "ResNet", "bireal", 0.75),
]


def test_tasks_and_architectures_are_quadratic_means_of_means():
    (line,) = overall_lines(rows(*TABLE))
    assert line.labels == {"method": "bireal", "loss": "none"}
    # Ratios: seg 0.5 and 0.9, depth 0.6 / 0.75 = 0.8.
    assert line.relative == pytest.approx({"mIoU": 0.7, "rmse": 0.8})
    assert line.tasks == pytest.approx(math.sqrt((0.7**2 + 0.8**2) / 2))
    # ResNet: 0.5 and 0.8; VGG: 0.9.
    assert line.architectures == pytest.approx(math.sqrt((0.65**2 + 0.9**2) / 2))
    assert math.isnan(line.robustness)
    assert len(line.full) == 3


def test_without_full_precision_there_are_no_lines():
    binary = [each for each in TABLE if each["network"]["method"] != "fp"]
    assert overall_lines(rows(*binary)) == []
    other = run("seg", "VGG", "fp", 30.0)
    assert overall_lines(rows(TABLE[1], {**other, "data": "e"})) == []


def test_the_counterpart_has_most_in_common():
    kd = run("seg", "ResNet", "fp", 44.0, loss="kd")
    ours = run("seg", "ResNet", "bireal", 20.0, loss="kd")
    found = rows(TABLE[0], kd, ours)
    full = counterpart_of(found[2], found)
    assert full is not None
    assert full.figures["mIoU"].mean == 44.0
    assert counterpart_of(found[0], found) is None
    # A run that others need has no labels of axes, and is found all the same.
    twin = dict(TABLE[0], labels={"needed": "twin"})
    found = rows(twin, ours)
    assert counterpart_of(found[1], found) is found[0]


def corrupted(clean: float, **kinds: list[float]) -> dict:
    return dict(
        images=3,
        clean={"mIoU": clean},
        kinds={
            kind: {"1": {"mIoU": found[0]}, "5": {"mIoU": found[1]}}
            for kind, found in kinds.items()
        },
    )


ROBUST = [
    run("seg", "ResNet", "fp", 40.0, robustness=corrupted(
        40.0, fog=[35.0, 25.0], snow=[30.0, 30.0], frost=[40.0, 42.0])),
    run("seg", "ResNet", "bireal", 20.0, robustness=corrupted(
        21.0, fog=[18.0, 14.0], snow=[13.0, 13.0], frost=[1.0, 1.0])),
]  # fmt: skip


def test_robustness_is_the_ratio_of_what_is_lost():
    (line,) = overall_lines(rows(*ROBUST))
    # Fog: 10 over 5; snow: 10 over 8; to frost full precision loses nothing.
    assert line.robustness == pytest.approx(math.sqrt((2.0**2 + 1.25**2) / 2))


def test_corrupted_figures_stand_side_by_side():
    plain = run("seg", "ResNet", "xnor_net", 10.0)
    fog = {"1": {"rmse": 0.8}}
    other = dict(images=3, clean={"rmse": 0.7}, kinds={"fog": fog})
    depth = run("depth", "ResNet", "bireal", 0.7, robustness=other)
    table, of_depth = corruption_tables(rows(*ROBUST, plain, depth))
    assert of_depth.kinds == [("clean", [0.7]), ("fog", [0.8]), ("all kinds", [0.8])]
    assert (table.figure, table.images, table.severities) == ("mIoU", "3", "1, 5")
    assert len(table.rows) == 2
    assert dict(table.kinds) == {
        "clean": [40.0, 21.0],
        "fog": [30.0, 16.0],
        "snow": [30.0, 13.0],
        "frost": [41.0, 1.0],
        "all kinds": [pytest.approx(101 / 3), 10.0],
    }
    assert corruption_tables(rows(plain)) == []


def test_rows_with_fewer_kinds_have_no_mean_over_all():
    fewer = corrupted(21.0, fog=[18.0, 14.0])
    ours = run("seg", "ResNet", "bireal", 20.0, robustness=fewer)
    (table,) = corruption_tables(rows(ROBUST[0], ours))
    assert dict(table.kinds)["snow"] == [30.0, None]
    assert dict(table.kinds)["all kinds"][1] is None


def cells(page: str, summary: str) -> list[list[str]]:
    """Text of the cells behind the first line of a folded table."""
    (part,) = re.findall(f"<summary>{summary}.*?</details>", page, re.DOTALL)
    lines = re.findall("<tr>(.*?)</tr>", part, re.DOTALL)[1:]
    return [re.findall("<t[dh][^>]*>(.*?)</t[dh]>", line) for line in lines]


def test_the_page_shows_percent_and_kinds():
    page = write_page(rows(*ROBUST), [])
    (line,) = cells(page, "Against full precision")
    full = "seg, ResNet, fp, none"
    robust = f"{100 * math.sqrt((4 + 1.5625) / 2):.1f}"
    assert line[-5:] == ["50.0", "50.0", "50.0", robust, full]
    assert cells(page, "mIoU on corrupted")[1] == ["fog", "30", "16"]
    assert "Against full precision" not in write_page(rows(TABLE[1]), [])


def test_runs_that_others_need_have_a_column_of_their_own():
    first = dict(run("seg", "ResNet", "bireal", 10.0), labels={"needed": "step1"})
    page = write_page(rows(*ROBUST, first), [])
    heads = re.search("Against full.*?</thead>", page, re.DOTALL)
    assert heads is not None
    names = re.findall(r"<button[^>]*>(\w+)</button>", heads[0])
    assert names[:5] == ["task", "encoder", "method", "loss", "needed"]
    lines = cells(page, "Against full precision")
    assert lines[0][:6] == ["seg", "ResNet", "bireal", "none", "", "50.0"]
    assert lines[1][:6] == ["", "", "", "", "step1", "25.0"]


def test_what_was_not_measured_is_said():
    note = {"note": "not measured: no <engine>"}
    ours = run("seg", "ResNet", "bireal", 20.0, robustness=note, latency=note)
    page = write_page(rows(ours), [])
    assert "latency not measured: no &lt;engine&gt;" in page
    assert "robustness not measured: no &lt;engine&gt;" in page


def test_latency_has_a_column_and_a_front():
    spent = dict(ms=12.34, spread_ms=[12.0, 13.5], clock="cpu", threads=1)
    found = [
        run("seg", "ResNet", "bireal", 20.0, latency=spent),
        run("seg", "ResNet", "fp", 40.0, latency={**spent, "ms": 30.0}),
    ]
    page = write_page(rows(*found), [])
    assert page.count("<svg ") == 4
    assert 'aria-label="mIoU against latency an image' in page
    assert re.search(
        r'<td class="number" title="median, 12 to 13.5 ms[^"]*">12.3<', page
    )
    head, *lines = as_csv([*found, run("seg", "VGG", "fp", 30.0)]).splitlines()
    assert head.endswith(",minutes,ms")
    assert [line.rpartition(",")[2] for line in lines] == ["12.34", "30.0", ""]
    without = write_page(rows(*TABLE[:2]), [])
    assert without.count("<svg ") == 3
    assert ">ms<" not in without
