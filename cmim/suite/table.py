"""A plan and its progress as a table of the terminal."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from rich.table import Table
from rich.text import Text

from cmim.suite.plan import PlannedRun
from cmim.suite.schedule import DONE, FAILED, LEFT, QUEUED, RUNNING, Progress

_COLOURS = {
    DONE: "green",
    FAILED: "red",
    RUNNING: "cyan",
    QUEUED: "blue",
    LEFT: "yellow",
}


def plan_table(
    runs: Sequence[PlannedRun],
    states: Mapping[str, str],
    minutes: Mapping[str, float] | None = None,
) -> Table:
    """Runs with their states and minutes, a run a line.

    Args:
        runs: A plan.
        states: By key.
        minutes: By key, as far as they are known.
    """
    axes = list(dict.fromkeys(axis for run in runs for axis in run.labels))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in (*axes, "seed", "steps", "run", "state", "minutes"):
        table.add_column(
            name, justify="right" if name in ("steps", "minutes") else "left"
        )
    for run in runs:
        state = states.get(run.key, "")
        known = (minutes or {}).get(run.key)
        table.add_row(
            *(run.labels.get(axis, "") for axis in axes),
            str(run.seed),
            f"{steps_of(run):,}",
            run.key,
            Text(state, style=_COLOURS.get(state, "")),
            "" if known is None else f"{known:.1f}",
        )
    return table


def progress_table(runs: Sequence[PlannedRun], progress: Progress) -> Table:
    """The same while the runs go on: minutes so far of those that run."""
    now = time.monotonic()
    minutes = dict(progress.minutes)
    for key, state in progress.states.items():
        if state == RUNNING:
            minutes[key] = minutes.get(key, 0.0) + (now - progress.begun[key]) / 60
    return plan_table(runs, progress.states, minutes)


def steps_of(run: PlannedRun) -> int:
    """Steps of a run's training."""
    return int(run.resolved.get("train_cfg", {}).get("max_iters", 0))


def one_line(progress: Progress) -> str:
    """Counts of the states.

    Examples:
        >>> one_line(Progress(states={"a": "done", "b": "left", "c": "done"}))
        '2 done, 1 left'
    """
    order = (DONE, FAILED, RUNNING, QUEUED, "waiting", LEFT)
    counts = {state: progress.count(state) for state in order}
    return ", ".join(f"{n} {state}" for state, n in counts.items() if n)
