"""Records as one page, a Markdown table and a CSV file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cmim.suite.report.fill import fill_tables
from cmim.suite.report.page import write_page
from cmim.suite.report.tables import as_csv, as_markdown
from cmim.suite.rows import in_order, rows_of
from cmim.whole_output import write_whole


def write_report(
    records: Sequence[Mapping[str, Any]],
    folder: Path,
    baseline: Mapping[str, str] | None = None,
) -> list[Path]:
    """Write ``index.html``, ``results.md`` and ``results.csv``.

    Args:
        records: As :func:`cmim.suite.record.read_records` gives them.
        folder: Is made where it is missing.
        baseline: Values of axes that the others are compared with; as their suites say
            when None.

    Returns:
        The files.
    """
    rows = in_order(rows_of(records, baseline), baseline)
    failed = [record for record in records if record["status"] == "failed"]
    files = {
        "results.md": as_markdown(rows),
        "results.csv": as_csv(records),
        "index.html": write_page(rows, failed),
    }
    for name, text in files.items():
        write_whole(folder / name, text)
    return [folder / name for name in files]


def fill_pages(
    records: Sequence[Mapping[str, Any]],
    pages: Sequence[Path],
    baseline: Mapping[str, str] | None = None,
) -> list[Path]:
    """Write the tables of pages anew, see :func:`cmim.suite.report.fill.fill_tables`.

    Args:
        records: As for :func:`write_report`.
        pages: Markdown files; none is written unless all can be.
        baseline: As for :func:`write_report`.

    Returns:
        The pages.
    """
    rows = in_order(rows_of(records, baseline), baseline)
    texts = {page: fill_tables(page.read_text("utf-8"), rows) for page in pages}
    for page, text in texts.items():
        write_whole(page, text)
    return list(texts)
