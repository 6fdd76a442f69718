"""Carries out a plan: what is needed first, nothing twice, nothing finished lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cmim.json_file import read_json
from cmim.suite import record
from cmim.suite.engines import Engine
from cmim.suite.engines.engine import INTERRUPTED, log_of
from cmim.suite.finished import has_checkpoint, record_of
from cmim.suite.plan import PlannedRun
from cmim.suite.work import IN_USE, JOB, NO_SPACE, write_job

WAITING, QUEUED, RUNNING = "waiting", "queued", "running"
DONE, FAILED, LEFT = "done", "failed", "left"
# Seconds between two looks at the engine.
PAUSE = 0.3
# Seconds until a run is tried again that another process holds.
PATIENCE = 5.0


@dataclass
class Progress:
    """Where the runs of a plan are.

    Attributes:
        states: By key.
        reasons: Why a run failed, by key.
        begun: When it was started, by key, in seconds of :func:`time.monotonic`.
        minutes: How long the finished ones took in this call, by key.
        starts: How often a run was started in this call, by key.
        lost: Keys of finished runs that are repeated, since their checkpoint is gone.
        marks: When the last checkpoint was written as a run was started, by key.
        stopped: Why nothing more is started, where that is so.
    """

    states: dict[str, str] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    begun: dict[str, float] = field(default_factory=dict)
    minutes: dict[str, float] = field(default_factory=dict)
    starts: dict[str, int] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    marks: dict[str, int] = field(default_factory=dict)
    stopped: str | None = None

    def count(self, *states: str) -> int:
        """Runs in one of some states."""
        return sum(state in states for state in self.states.values())


@dataclass(frozen=True)
class Places:
    """Folders of a suite.

    Attributes:
        results: Of the records.
        work: Of the runs' folders.
        data_root: Of the data on this machine; as the configs say when None.
    """

    results: Path
    work: Path
    data_root: str | None = None


def carry_out(
    runs: Sequence[PlannedRun],
    engine: Engine,
    places: Places,
    max_minutes: float | None = None,
    starts: int = 3,
    again: bool = False,
    show: Callable[[Progress], object] = lambda progress: None,
) -> Progress:
    """Run what has no record yet; at a limit, stop cleanly.

    A run whose process was killed starts again and goes on from its checkpoint; one
    that failed by itself has a record that says why, and those that need it fail, too.
    A full disk is no fault of a run: nothing more starts, and the next call goes on.

    Args:
        runs: A plan, what is needed in front.
        engine: Where they are computed.
        places: Folders.
        max_minutes: From then on nothing starts, and what runs is ended; it goes on
            with the next call.
        starts: Attempts at a run whose process was killed. Time limits of a cluster
            count only where no checkpoint was written in between.
        again: Runs that failed are tried again.
        show: Called after each change and each look at the engine.

    Returns:
        Where the runs are at the end.
    """
    progress = Progress()
    _look_at_records(runs, places, progress, again)
    _run_lost_again(runs, places, progress)
    by_key = {run.key: run for run in runs}
    end = None if max_minutes is None else time.monotonic() + 60 * max_minutes
    try:
        while progress.count(WAITING, QUEUED, RUNNING):
            late = end is not None and time.monotonic() > end
            if late or progress.stopped:
                break
            _start_ready(runs, engine, places, progress)
            for key, status in engine.ended().items():
                _take(by_key[key], status, places, progress, starts)
            _ask_running(engine, progress)
            show(progress)
            if progress.count(QUEUED, RUNNING):
                time.sleep(PAUSE)
    finally:
        engine.stop()
    for key, state in progress.states.items():
        if state in (WAITING, QUEUED, RUNNING):
            progress.states[key] = LEFT
    show(progress)
    return progress


def _look_at_records(
    runs: Sequence[PlannedRun], places: Places, progress: Progress, again: bool
) -> None:
    for run in runs:
        path = record.record_path(places.results, run)
        progress.states[run.key] = WAITING
        if not path.is_file():
            continue
        found = read_json(path)
        if found["status"] == "ok":
            progress.states[run.key] = DONE
        elif not again:
            progress.states[run.key] = FAILED
            progress.reasons[run.key] = str(found.get("reason"))
        else:
            path.unlink()


def _run_lost_again(
    runs: Sequence[PlannedRun], places: Places, progress: Progress
) -> None:
    """Finished runs whose checkpoint is gone, and which others wait for, run again."""
    for run in reversed(runs):
        waiting = [r for r in runs if progress.states[r.key] == WAITING]
        needed = any(run.key in other.needs for other in waiting)
        if progress.states[run.key] != DONE or not needed:
            continue
        found = record_of(run, places.results)
        if found is None or not has_checkpoint(found, places.work):
            progress.states[run.key] = WAITING
            progress.lost.add(run.key)


def _start_ready(
    runs: Sequence[PlannedRun], engine: Engine, places: Places, progress: Progress
) -> None:
    for run in runs:
        if progress.states[run.key] != WAITING:
            continue
        if engine.slots is not None and progress.count(QUEUED, RUNNING) >= engine.slots:
            return
        needed = {key: progress.states.get(key) for key in run.needs}
        lost = [key for key, state in needed.items() if state in (FAILED, None)]
        if lost:
            progress.states[run.key] = FAILED
            progress.reasons[run.key] = f"it needs run {lost[0]}, which failed"
        elif all(state == DONE for state in needed.values()):
            job = write_job(run, places.results, places.work, places.data_root)
            engine.start(run.key, job, run.threads)
            progress.states[run.key] = QUEUED
            progress.begun[run.key] = time.monotonic()
            progress.marks[run.key] = _last_written(run, places)
            progress.starts[run.key] = progress.starts.get(run.key, 0) + 1


def _take(
    run: PlannedRun, status: int, places: Places, progress: Progress, starts: int
) -> None:
    """A process has ended: by its record it is done, else it was killed."""
    seconds = time.monotonic() - progress.begun[run.key]
    progress.minutes[run.key] = progress.minutes.get(run.key, 0.0) + seconds / 60
    found = _record_now(run, places, progress)
    if found is not None and found["status"] == "ok":
        progress.states[run.key] = DONE
    elif found is not None:
        progress.states[run.key] = FAILED
        progress.reasons[run.key] = str(found["reason"])
    elif status == IN_USE:
        # Another process is at it, and will end with a record or let go of the folder.
        progress.states[run.key] = WAITING
        progress.starts[run.key] -= 1
        time.sleep(PATIENCE)
    elif status == NO_SPACE:
        progress.states[run.key] = WAITING
        progress.stopped = _full(run, places)
    elif status == INTERRUPTED and _last_written(run, places) > progress.marks[run.key]:
        progress.states[run.key] = WAITING
        progress.starts[run.key] -= 1
    elif progress.starts[run.key] < starts:
        progress.states[run.key] = WAITING
    else:
        reason = _ended_by(status, progress.starts[run.key], places.work / run.key)
        progress.states[run.key], progress.reasons[run.key] = FAILED, reason
        # What was interrupted may go on with the next call, and what has ended with
        # figures keeps them.
        if status != INTERRUPTED and run.key not in progress.lost:
            record.write_record(places.results, run, record.failed(run, reason))


def _record_now(
    run: PlannedRun, places: Places, progress: Progress
) -> dict[str, Any] | None:
    """The record of a run; of one that is repeated, once its checkpoint is there."""
    path = record.record_path(places.results, run)
    found = read_json(path) if path.is_file() else None
    if found and run.key in progress.lost and not has_checkpoint(found, places.work):
        return None
    return found


def _last_written(run: PlannedRun, places: Places) -> int:
    """When the last checkpoint of a run was written, in nanoseconds; 0 for never."""
    path = places.work / run.key / "last.pth"
    return path.stat().st_mtime_ns if path.is_file() else 0


def _full(run: PlannedRun, places: Places) -> str:
    log = log_of(places.work / run.key / JOB)
    return (
        f"{run.title}: a disk is full, see {log}; free some of it, or choose other "
        "folders (--work-dir, --results), and start the suite again: it goes on"
    )


def _ended_by(status: int, starts: int, folder: Path) -> str:
    log = folder / "output.log"
    if status == INTERRUPTED:
        return (
            f"the cluster ended it {starts} times before a new checkpoint was written, "
            f"see {log}: raise the time limit (--engine-options minutes=...) or lower "
            "default_hooks.checkpoint.interval"
        )
    how = f"was ended by signal {-status}" if status < 0 else f"ended with {status}"
    return f"its process {how}, {starts} times; see {log}"


def _ask_running(engine: Engine, progress: Progress) -> None:
    for key, state in progress.states.items():
        if state == QUEUED and engine.running(key):
            progress.states[key] = RUNNING
            progress.begun[key] = time.monotonic()
