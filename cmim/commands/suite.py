"""Run a suite: many trainings, each recorded."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cmim.engine import cli

if TYPE_CHECKING:
    from cmim.suite.plan import PlannedRun
    from cmim.suite.schedule import Places


def build_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = cli.make_parser(
        "Run a suite: a short file multiplies methods, losses, tasks and seeds into "
        "runs, each a process that trains, tests and leaves one record in results/. "
        "What has a record is never repeated, what was interrupted goes on from its "
        "checkpoint, and a failure is recorded with its reason.",
        "python tools/suite.py rooms_small --cfg-options data_root=data/rooms/prepared "
        "--workers 2",
    )
    parser.add_argument("suite", help="suite file, or the name of one of ours")
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=cli.OptionsAction,
        metavar="NAME=VALUE",
        help="overrides of all runs, e.g. data_root=data/nyuv2",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print the plan, with the minutes that a few timed steps let expect, and "
        "run nothing else",
    )
    parser.add_argument(
        "--no-timing", action="store_true", help="with --dry-run: time no steps either"
    )
    _add_part(parser)
    _add_places(parser)
    _add_engine(parser)
    return parser


def _add_part(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--only",
        metavar="AXIS=VALUE",
        nargs="+",
        default=[],
        help="only runs with these values (and what they need), e.g. method=bireal "
        "seed=0",
    )
    parser.add_argument(
        "--max-minutes",
        type=float,
        help="stop cleanly then; the next call goes on",
    )
    parser.add_argument(
        "--retry-failed", action="store_true", help="run again what has failed before"
    )


def _add_places(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--results",
        type=cli.output_folder,
        default="results",
        help="folder of the records (default results)",
    )
    parser.add_argument(
        "--work-dir",
        type=cli.output_folder,
        default="work_dirs/suite",
        help="folder of checkpoints and logs (default work_dirs/suite)",
    )


def _add_engine(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--engine",
        default="local",
        help="where runs are computed: local (default), ray, slurm",
    )
    parser.add_argument(
        "--workers",
        type=cli.positive,
        help="runs at a time (default: as many as the cores allow, or one on each GPU)",
    )
    parser.add_argument(
        "--engine-options",
        nargs="+",
        action=cli.OptionsAction,
        metavar="NAME=VALUE",
        help="further options of the engine, e.g. address=HOST:6379 (ray), "
        "partition=gpu minutes=600 gpus=1 (slurm)",
    )


def run(args: argparse.Namespace) -> int:
    """Do what the options say; status 1 where a run has failed."""
    from cmim.suite.definition import read_suite
    from cmim.suite.plan import plan_suite
    from cmim.suite.schedule import FAILED, Places, carry_out
    from cmim.suite.select import select
    from cmim.suite.table import one_line, progress_table

    options = dict(args.cfg_options or {})
    runs = select(plan_suite(read_suite(args.suite), options), args.only)
    root = options.get("data_root")
    places = Places(
        Path(args.results).resolve(),
        Path(args.work_dir).resolve(),
        None if root is None else str(Path(root).resolve()),
    )
    if args.dry_run:
        _print_plan(runs, places, timed=not args.no_timing)
        return 0
    engine = _engine(args, runs)
    with _live() as show:
        progress = carry_out(
            runs,
            engine,
            places,
            max_minutes=args.max_minutes,
            again=args.retry_failed,
            show=lambda progress: show(progress_table(runs, progress)),
        )
    for planned in runs:
        if planned.key in progress.reasons:
            print(f"{planned.title}: {progress.reasons[planned.key]}")
    if progress.stopped:
        print(f"stopped: {progress.stopped}")
    print(f"{runs[0].suite}: {one_line(progress)}; records in {args.results}")
    return int(progress.count(FAILED) > 0 or progress.stopped is not None)


def _engine(args: argparse.Namespace, runs: list[PlannedRun]) -> Any:
    from cmim.suite.engines import make_engine

    entry = dict(name=args.engine, **dict(args.engine_options or {}))
    if args.workers is not None:
        entry["workers"] = args.workers
    if args.engine == "local":
        entry.setdefault("threads", max(run.threads for run in runs))
        entry.setdefault("device", runs[0].device)
    return make_engine(entry)


def _print_plan(runs: list[PlannedRun], places: Places, timed: bool) -> None:
    from rich.console import Console

    from cmim.suite.estimate import estimate_minutes
    from cmim.suite.finished import finished_keys
    from cmim.suite.table import plan_table

    states = finished_keys(places.results, runs)
    open_runs = [run for run in runs if run.key not in states]
    minutes = estimate_minutes(open_runs, places, runs) if timed else {}
    Console().print(plan_table(runs, states, minutes))
    total = f", about {sum(minutes.values()):.0f} minutes one by one" if minutes else ""
    print(f"{len(runs)} runs, {len(open_runs)} to do{total}")


@contextmanager
def _live() -> Iterator[Any]:
    """A table that is drawn again in its place; nothing where nobody watches."""
    from rich.console import Console
    from rich.live import Live

    console = Console()
    if not console.is_terminal:
        yield lambda table: None
        return
    with Live(console=console, auto_refresh=False) as live:
        yield lambda table: live.update(table, refresh=True)
