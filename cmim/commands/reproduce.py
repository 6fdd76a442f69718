"""Run a recorded run again, and compare."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from cmim.engine import cli

# Not 1, with which Python ends where code cannot be run at all.
MOVED = 3


def build_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = cli.make_parser(
        "Run a row of a suite again, with the runs that it needs, and say whether its "
        "figures came back; if not, which step's loss is the first that differs, and "
        "what has changed since (code, data, packages, processor).",
        "python tools/reproduce.py 57fea454 --data-root data/rooms/prepared",
    )
    parser.add_argument("row", help="key of a run, the beginning of it, or its file")
    parser.add_argument(
        "--results", default="results", help="folder of the records (default results)"
    )
    parser.add_argument(
        "--data-root", help="where the data lie (default: as configured)"
    )
    parser.add_argument(
        "--work-dir",
        type=cli.output_folder,
        help="keep the repeated run there (default: a folder that is removed)",
    )
    cli.add_json_option(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """Do what the options say; status 3 where the figures did not come back."""
    from dataclasses import asdict

    from cmim.engine.record import write_json
    from cmim.suite.reproduce import (
        compare_records,
        find_record,
        needed_records,
        run_again,
    )

    results = Path(args.results)
    found = find_record(results, args.row)
    needed = needed_records(results, found)
    root = None if args.data_root is None else str(Path(args.data_root).resolve())
    with tempfile.TemporaryDirectory() as folder:
        work = Path(args.work_dir or folder).resolve()
        again = run_again(found, needed, work, root)
    compared = compare_records(found, again)
    if args.json:
        write_json(args.json, asdict(compared))
    print(f"{found['key']}: {compared.words}")
    return 0 if compared.came_back else MOVED
