"""Which runs are finished, and whether their checkpoints are still there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cmim.checkpoint import CheckpointError
from cmim.json_file import read_json
from cmim.suite.plan import PlannedRun
from cmim.suite.record import record_path, weights_digest


def record_of(run: PlannedRun, results: Path) -> dict[str, Any] | None:
    """The record of a run that has ended with figures, or None.

    Args:
        run: What was planned.
        results: Folder of the records.
    """
    path = record_path(results, run)
    found = read_json(path) if path.is_file() else {}
    return found if found.get("status") == "ok" else None


def has_checkpoint(record: Mapping[str, Any], work: Path) -> bool:
    """Whether the weights that a record speaks of are in the run's folder.

    One that was lost and is being made again is not, until it is trained to its end.

    Args:
        record: Of a run that has ended with figures.
        work: Folder of the runs' folders.
    """
    try:
        found = weights_digest(work / record["key"] / "last.pth")
    except (CheckpointError, OSError, KeyError):
        return False
    return found == record.get("weights")


def finished_keys(results: Path, runs: Iterable[PlannedRun]) -> dict[str, str]:
    """Status of the runs that have a record, by key."""
    found = {}
    for run in runs:
        path = record_path(results, run)
        if path.is_file():
            found[run.key] = read_json(path)["status"]
    return found
