"""Write the records of suites as a page and as tables."""

from __future__ import annotations

import argparse
from pathlib import Path

from cmim.engine import cli


def build_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = cli.make_parser(
        "Write the records of suites as one page that needs nothing else (sortable "
        "tables, accuracy against cost, training curves, the command of every row), "
        "and as Markdown and CSV.",
        "python tools/report.py results --out report",
    )
    parser.add_argument("results", help="folder of the records")
    parser.add_argument(
        "--out", type=cli.output_folder, default="report", help="default: report"
    )
    parser.add_argument(
        "--baseline",
        nargs="+",
        metavar="AXIS=VALUE",
        help="compare rows with the one that differs in this, seed by seed (default: "
        "as the suites say)",
    )
    parser.add_argument(
        "--pages",
        nargs="+",
        metavar="FILE",
        default=(),
        help="Markdown pages whose tables, between '<!-- rows of SUITE -->' and "
        "'<!-- end of rows -->', are written anew",
    )
    return parser


def run(args: argparse.Namespace) -> int:
    """Do what the options say; status 1 where there is no record."""
    from cmim.suite.record import read_records
    from cmim.suite.report import fill_pages, write_report

    records = read_records(Path(args.results))
    if not records:
        print(f"there is no record in '{args.results}': run a suite first")
        return 1
    baseline = _baseline(args.baseline, records)
    files = write_report(records, Path(args.out), baseline)
    files += fill_pages(records, [Path(page) for page in args.pages], baseline)
    ended = sum(record["status"] != "failed" for record in records)
    print(f"{ended} runs, {len(records) - ended} failed: {', '.join(map(str, files))}")
    return 0


def _baseline(words: list[str] | None, records: list[dict]) -> dict[str, str] | None:
    """Values of axes, or None where the suites shall say."""
    if words is None:
        return None
    from cmim.engine.config import ConfigError

    found = {}
    for word in words:
        axis, _, value = word.partition("=")
        known = sorted({r["labels"][axis] for r in records if axis in r["labels"]})
        if value not in known:
            axes = sorted({axis for r in records for axis in r["labels"]})
            what = f"values {', '.join(known)}" if known else f"axes {', '.join(axes)}"
            raise ConfigError(f"--baseline {word!r} fits no record; there are {what}")
        found[axis] = value
    return found
