"""Figures of classes in the report, against means by hand."""

from __future__ import annotations

import re

from report_cases import record

from cmim.suite.report.classes import ClassTable, class_tables
from cmim.suite.report.page import write_page
from cmim.suite.rows import rows_of


def figures(**iou: float | None) -> dict:
    found = {name: {"iou": value, "accuracy": 0.0} for name, value in iou.items()}
    return {"mIoU": 5.0, "per_class": found}


RECORDS = [
    record("bireal", "none", 0, 5.0, test=figures(wall=10.0, door=None)),
    record("bireal", "none", 1, 5.0, test=figures(wall=13.0, door=4.0)),
    record("fp", "none", 0, 9.0, test=figures(wall=30.0, door=None)),
]


def test_means_are_those_of_the_seeds_that_have_the_class():
    (table,) = class_tables(rows_of(RECORDS))
    assert table == ClassTable(
        head="",
        rows=["bireal, none", "fp, none"],
        classes=[("wall", [11.5, 30.0]), ("door", [4.0, None])],
    )


def test_each_head_has_a_table_and_rows_without_it_no_column():
    found = [
        record("bireal", "none", 0, 5.0, test={"seg/per_class": {"wall": {"iou": 8}}}),
        record("fp", "none", 0, 1.0, test={"rmse": 1.0}, main={"rmse": False}),
    ]
    (table,) = class_tables(rows_of(found))
    assert (table.head, table.rows) == ("seg", ["bireal, none"])
    assert class_tables(rows_of(found[1:])) == []


def test_the_page_shows_them_folded():
    page = write_page(rows_of(RECORDS), [])
    (part,) = re.findall(
        "<details>\n<summary>IoU of each class.*?</details>", page, re.S
    )
    cells = re.findall(r'<th scope="row">(\w+)</th>(.*)</tr>', part)
    shown = {name: re.findall(r'"number">([^<]*)<', rest) for name, rest in cells}
    assert shown == {"wall": ["11.5", "30.0"], "door": ["4.0", ""]}
