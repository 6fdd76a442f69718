"""Tables of records within pages; those of this project are those of its records."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from in_process import run_in_process
from report_cases import RECORDS

from cmim.engine.config import ConfigError
from cmim.suite.record import read_records
from cmim.suite.report.fill import fill_tables
from cmim.suite.report.tables import show_gain
from cmim.suite.rows import in_order, rows_of

ROOT = Path(__file__).resolve().parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGE = "Before.\n<!-- rows of small -->\nold\n<!-- end of rows -->\nBehind.\n"


def test_a_table_stands_between_its_marks_and_nothing_else_changes():
    filled = fill_tables(PAGE, rows_of(RECORDS))
    before, _, rest = filled.partition("<!-- rows of small -->\n")
    table, _, behind = rest.partition("<!-- end of rows -->")
    assert (before, behind) == ("Before.\n", "\nBehind.\n")
    lines = table.strip().splitlines()
    # A head, its line, three rows, and where they are from.
    assert len(lines) == 7
    assert lines[-1] == "7 records in `results/small/`, commit abc."
    assert "old" not in filled
    assert fill_tables(filled, rows_of(RECORDS)) == filled


def test_a_mark_may_name_another_baseline_and_some_rows():
    mark = "rows of small against loss=kd only method=bireal loss=none"
    filled = fill_tables(PAGE.replace("rows of small", mark), rows_of(RECORDS))
    rows = [line for line in filled.splitlines() if line.startswith("| bireal")]
    (expected,) = (
        row
        for row in rows_of(RECORDS, {"loss": "kd"})
        if row.labels == {"method": "bireal", "loss": "none"}
    )
    assert len(rows) == 1
    assert show_gain(expected.gains["mIoU"]) in rows[0]
    wrong = PAGE.replace("rows of small", "rows of small only loss=nce")
    with pytest.raises(ConfigError, match="'only loss=nce' fits no row"):
        fill_tables(wrong, rows_of(RECORDS))


def test_a_suite_without_rows_is_said():
    with pytest.raises(ConfigError, match="no row of suite 'big'; records have small"):
        fill_tables(PAGE.replace("small", "big"), rows_of(RECORDS))


def test_a_mark_without_its_end_loses_no_word():
    text = "<!-- rows of small -->\nwords\n" + PAGE
    with pytest.raises(ConfigError, match="or one without"):
        fill_tables(text, rows_of(RECORDS))


def test_changed_files_are_said():
    changed = [dict(r, code=dict(commit="a" * 40 + "+")) for r in RECORDS]
    assert "commit aaaaaaaaa+." in fill_tables(PAGE, rows_of(changed))


def test_the_command_fills_pages(tmp_path):
    folder = tmp_path / "results" / "small"
    folder.mkdir(parents=True)
    for record in RECORDS[:3]:
        (folder / f"{record['key']}.json").write_text(json.dumps(record))
    (tmp_path / "page.md").write_text(PAGE)
    words = (tmp_path / "results", "--out", tmp_path / "report", "--pages")
    done = run_in_process("report", *words, tmp_path / "page.md")
    assert done.returncode == 0, done.stderr
    assert "| bireal | none |" in (tmp_path / "page.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_tables_of_the_projects_pages_are_those_of_its_records(page):
    if "\n<!-- rows of" not in page.read_text():
        pytest.skip("no table of records in this page")
    rows = in_order(rows_of(read_records(ROOT / "results")))
    assert fill_tables(page.read_text(), rows) == page.read_text(), (
        "run: python tools/report.py results --pages README.md docs/results.md"
    )
