"""Tables of records within pages that people write, between two marks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from cmim.engine.config import ConfigError
from cmim.suite.report.tables import as_markdown
from cmim.suite.rows import Row, in_order, rows_of

_TABLE = re.compile(
    r"^(?P<begin><!-- rows of (?P<suite>[\w.-]+)"
    r"(?: against (?P<against>[\w.-]+=[\w.-]+))?"
    r"(?: only (?P<only>[\w.-]+=[\w.-]+(?: [\w.-]+=[\w.-]+)*))? -->\n)"
    r"(?:(?!^<!-- rows of).)*?^(?P<end><!-- end of rows -->)",
    re.DOTALL | re.MULTILINE,
)


def fill_tables(text: str, rows: Sequence[Row]) -> str:
    """A page with the records' rows between its marks.

    A page does not say which rows are stale, or it would change with each change of the
    code; it names the commits that they were run at. The report says it.

    Args:
        text: Markdown; ``<!-- rows of SUITE -->`` and ``<!-- end of rows -->`` stand
            around each table, on lines of their own. ``rows of SUITE against AXIS=VALUE
            only AXIS=VALUE ...`` takes another baseline than the suite says, and some
            rows: of one axis any value counts, and of several axes all.
        rows: Of any suites.

    Raises:
        ConfigError: There are no marks, or no row of a suite that they name.

    Examples:
        >>> fill_tables("No table.", [])
        Traceback (most recent call last):
        cmim.engine.config_error.ConfigError: the page has no '<!-- rows ...
    """
    tables = len(_TABLE.findall(text))
    if not tables or tables != len(re.findall(r"(?m)^<!-- rows of", text)):
        raise ConfigError(
            "the page has no '<!-- rows of SUITE -->' with an '<!-- end of rows -->' "
            "behind it, or one without; write both where a table belongs"
        )
    return _TABLE.sub(lambda found: _filled(found, rows), text)


def _filled(found: re.Match[str], rows: Sequence[Row]) -> str:
    suite = found["suite"]
    own = [row for row in rows if row.suite == suite]
    if not own:
        known = ", ".join(dict.fromkeys(row.suite for row in rows)) or "none"
        raise ConfigError(f"there is no row of suite '{suite}'; records have {known}")
    if found["against"]:
        axis, _, value = found["against"].partition("=")
        records = [record for row in own for record in row.records]
        own = in_order(rows_of(records, {axis: value}), {axis: value})
    own = _chosen(own, (found["only"] or "").split())
    _, _, table = as_markdown([replace(row, status="ok") for row in own]).partition(
        "\n\n"
    )
    records = [record for row in own for record in row.records]
    commits = {(r.get("code") or {}).get("commit") or "unknown" for r in records}
    named = ", ".join(sorted(map(_short, commits)))
    source = f"{len(records)} records in `results/{suite}/`, commit {named}."
    return f"{found['begin']}\n{table}\n{source}\n{found['end']}"


def _chosen(rows: Sequence[Row], words: Sequence[str]) -> list[Row]:
    """Those rows that ``AXIS=VALUE ...`` name."""
    wanted: dict[str, set[str]] = {}
    for word in words:
        axis, _, value = word.partition("=")
        if not any(row.labels.get(axis) == value for row in rows):
            raise ConfigError(f"'only {word}' fits no row of suite '{rows[0].suite}'")
        wanted.setdefault(axis, set()).add(value)
    return [
        row
        for row in rows
        if all(row.labels.get(axis) in values for axis, values in wanted.items())
    ]


def _short(commit: str) -> str:
    """The beginning of a commit; ``+`` says that files differed from it."""
    return commit[:9] + ("+" if commit.endswith("+") else "")
