"""The report: a page that needs nothing else, Markdown and CSV, from records."""

from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from in_process import run_in_process
from report_cases import RECORDS, record

from cmim.suite.record import read_records
from cmim.suite.report import write_report
from cmim.suite.report.charts import front_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    write_report(RECORDS, folder, {"loss": "none"})
    return folder


def test_markdown_has_means_spreads_and_gains(folder):
    lines = (folder / "results.md").read_text().splitlines()
    assert lines[0] == "## small"
    assert lines[2] == "| method | loss | seeds | mIoU | mIoU, gain |"
    assert lines[4] == "| bireal | none | 3 | 6 ± 1 |  |"
    assert (
        lines[5]
        == "| bireal | kd | 3 | 7.5 ± 1 | +1.5 (+1.5 to +1.5), within noise (p 0.25) |"
    )
    assert lines[6] == "| fp | none | 1 | 9 |  |"


def test_csv_has_a_line_a_run(folder):
    lines = list(csv.DictReader(io.StringIO((folder / "results.csv").read_text())))
    assert [line["mIoU"] for line in lines] == [
        "5", "6", "7", "6.5", "7.5", "8.5", "9.0", "",
    ]  # fmt: skip
    assert lines[-1]["status"] == "failed"
    assert lines[-1]["reason"] == "<no data>"


class Page(HTMLParser):
    """Tags that were opened and closed, and addresses that would be fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.rows = 0

    def handle_starttag(self, tag, attrs):
        self.rows += tag == "tr"
        self.addresses += [v for k, v in attrs if k in ("src", "href") and v]
        if tag not in ("meta", "link", "input", "path", "use"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.addresses += [v for k, v in attrs if k in ("src", "href") and v]

    def handle_endtag(self, tag):
        if tag not in ("path", "use"):
            assert self.open.pop() == tag


def test_the_page_is_whole_and_asks_for_nothing(folder):
    text = (folder / "index.html").read_text()
    page = Page()
    page.feed(text)
    assert page.open == []
    assert page.rows == 1 + 3
    assert [a for a in page.addresses if not a.startswith(("#", "data:"))] == []
    assert "&lt;no data&gt;" in text
    assert "<no data>" not in text
    # Two fronts, OPs and memory, and the losses.
    assert text.count("<svg ") == 3


def test_each_run_has_the_command_that_repeats_it(folder, chain):
    """Of a suite outside of the project's folder, or with further overrides, too."""
    from cmim.suite.reproduce import find_record

    text = (folder / "index.html").read_text()
    commands = re.findall("<pre>(cmim .*?)</pre>", text)
    ended = [each["key"] for each in RECORDS if each["status"] == "ok"]
    assert commands == [f"cmim reproduce {key}" for key in ended]
    # What the command reads has the overrides, wherever the suite's file lies.
    assert find_record(chain, "a")["options"]["model.pixels"] == 4


def test_points_that_another_beats_are_not_on_the_front():
    points = [(1.0, 1.2), (2.0, 0.9), (2.0, 1.0), (4.0, 0.95)]
    assert front_of(points, higher=False) == [(1.0, 1.2), (2.0, 0.9)]


def test_the_command_reads_a_folder(tmp_path):
    for each in RECORDS:
        path = tmp_path / "results" / "small" / f"{each['key']}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(each))
    done = run_in_process(
        "report", str(tmp_path / "results"), "--out", str(tmp_path / "out"),
        "--baseline", "loss=none",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("7 runs, 1 failed: ")
    empty = run_in_process("report", str(tmp_path / "out"))
    assert "there is no record in" in empty.stdout


def test_code_that_has_changed_makes_a_record_stale(tmp_path):
    for name, digest in (("same", ""), ("other", "0")):
        content = record("bireal", name, 0, 5.0)
        content["code"] = {"digest": digest, "modules": []}
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    from cmim.code_digest import code_digest

    found = {r["labels"]["loss"]: r["status"] for r in read_records(tmp_path)}
    assert set(found.values()) == {"stale"}
    content["code"]["digest"] = code_digest([])
    (tmp_path / "same.json").write_text(json.dumps(content))
    found = sorted(r["status"] for r in read_records(tmp_path))
    assert found == ["ok", "stale"]
    assert re.fullmatch("[0-9a-f]{64}", code_digest([]))


@pytest.fixture
def chain(tmp_path) -> Path:
    """Records of a teacher, of one that has learned from it, and of its student."""
    from cmim.code_digest import code_digest

    needed: dict[str, dict] = {"big": {}, "small": {"model": {"teacher": "run:big"}}}
    needed["a"] = {"model.teacher": "run:small", "model.pixels": 4}
    for name, options in needed.items():
        content = record("bireal", "none", 0, 5.0)
        content.update(key=name, options=options, threads=1, data="", config="c")
        content["code"] = {"digest": code_digest([]), "modules": []}
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    return tmp_path


def test_staleness_is_passed_on_however_far(chain):
    assert {found["status"] for found in read_records(chain)} == {"ok"}
    content = json.loads((chain / "big.json").read_text())
    content["code"]["digest"] = "0"
    (chain / "big.json").write_text(json.dumps(content))
    assert {found["status"] for found in read_records(chain)} == {"stale"}


def test_what_a_row_needs_is_repeated_in_front_of_it(chain):
    from cmim.suite.reproduce import find_record, needed_records

    needed = needed_records(chain, find_record(chain, "a"))
    assert [found["key"] for found in needed] == ["big", "small"]


def test_another_json_is_no_record(tmp_path):
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(ValueError, match="is no record of a run"):
        read_records(tmp_path)
