"""Runs a recorded run again, and says whether its figures came back."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmim.engine.config import ConfigError
from cmim.json_file import read_json
from cmim.suite import record
from cmim.suite.engines.engine import command, environment, log_of
from cmim.suite.plan import PlannedRun
from cmim.suite.work import write_job


@dataclass(frozen=True)
class Comparison:
    """A recorded run beside its repetition.

    Attributes:
        figures: Test figures that differ: what they were and what they are.
        step: The first step whose loss differs, from 1; None where none does.
        losses: Its losses, then and now.
        traced: Whether the losses could be compared, step by step.
        weights: Whether the trained weights are the same to the last bit.
        changed: What may be why: code, packages, processor. Config, data and weights
            are the same, or the run is refused.
    """

    figures: dict[str, tuple[Any, Any]]
    step: int | None
    losses: tuple[float, float] | None
    traced: bool
    weights: bool
    changed: list[str]

    @property
    def came_back(self) -> bool:
        """Whether all test figures are the same."""
        return not self.figures

    @property
    def words(self) -> str:
        """What was found, in plain sentences."""
        if self.came_back:
            same = "are the same" if self.weights else "differ"
            text = f"the figures came back; the weights {same}"
            text += " to the last bit" if self.weights else ""
        else:
            shown = [f"{k} {a} is now {b}" for k, (a, b) in self.figures.items()]
            text = f"the figures did not come back: {', '.join(shown)}"
        if self.step is not None and self.losses is not None:
            a, b = self.losses
            text += f"; the first loss that differs is that of step {self.step} "
            text += f"({a:.9g}, now {b:.9g})"
        elif not self.came_back and self.traced:
            text += "; all losses of the training are the same"
        if self.changed:
            text += f"; since then changed: {', '.join(self.changed)}"
        return text


def compare_records(then: Mapping[str, Any], now: Mapping[str, Any]) -> Comparison:
    """What of a record came back.

    Args:
        then: The record.
        now: That of its repetition.
    """
    both = {
        name: (then["test"].get(name), now["test"].get(name))
        for name in {**then["test"], **now["test"]}
        if not name.endswith(record.TIMES)
    }
    step, losses = _first_difference(then["trace"], now["trace"])
    changed = [
        what
        for what, a, b in (
            ("the code", then["code"]["digest"], now["code"]["digest"]),
            ("packages", then["versions"], now["versions"]),
            ("the processor", then["machine"]["cpu"], now["machine"]["cpu"]),
            ("its instructions", then["machine"]["flags"], now["machine"]["flags"]),
        )
        if a != b
    ]
    return Comparison(
        figures={k: (a, b) for k, (a, b) in both.items() if a != b},
        step=step,
        losses=losses,
        traced=_shape(then["trace"]) == _shape(now["trace"]),
        weights=then["weights"] == now["weights"],
        changed=changed,
    )


def _shape(trace: Mapping[str, Any]) -> tuple[int, int]:
    return trace["every"], len(trace["loss"])


def _first_difference(
    then: Mapping[str, Any], now: Mapping[str, Any]
) -> tuple[int | None, tuple[float, float] | None]:
    if then["every"] != now["every"]:
        return None, None
    for k, (a, b) in enumerate(zip(then["loss"], now["loss"], strict=False)):
        if a != b:
            return k * then["every"] + 1, (a, b)
    return None, None


def find_record(results: Path, row: str) -> dict[str, Any]:
    """The record of a run by its key, the beginning of it, or its file.

    Raises:
        ConfigError: There is none, there are several, or it failed.
    """
    path = Path(row)
    every = sorted(results.rglob("*.json"))
    files = [path] if path.is_file() else [p for p in every if p.stem.startswith(row)]
    # A run that several suites need has a record in each.
    if len({file.stem for file in files}) != 1:
        known = sorted({p.stem for p in files or every})
        what = "several runs" if files else "no run"
        raise ConfigError(
            f"'{row}' means {what} in '{results}'; say one of {', '.join(known[:8])}"
            + (" ..." if len(known) > 8 else "")
        )
    found = read_json(files[0])
    record.check_record(found, files[0])
    if found.get("status") != "ok":
        raise ConfigError(
            f"run {found.get('key')} ended without figures "
            f"({found.get('reason', 'no reason is recorded')}): run its suite again "
            "with --retry-failed"
        )
    return found


def needed_records(results: Path, found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Records of the runs whose checkpoints a run reads, and of what those need.

    Args:
        results: Folder of the records.
        found: A record.

    Returns:
        Each once, behind those that it needs itself.

    Raises:
        ConfigError: One of them is not there.
    """
    ordered: dict[str, dict[str, Any]] = {}
    for key in planned(found).needs:
        needed = find_record(results, key)
        for each in (*needed_records(results, needed), needed):
            ordered.setdefault(each["key"], each)
    return list(ordered.values())


def run_again(
    found: Mapping[str, Any], needed: Sequence[Mapping[str, Any]], work: Path,
    data_root: str | None,
) -> dict[str, Any]:  # fmt: skip
    """Repeat a run, and what it needs, in another folder.

    Args:
        found: Its record.
        needed: The records of the runs whose checkpoints it reads.
        work: An empty folder.
        data_root: Where the data lie.

    Returns:
        The record of the repetition.

    Raises:
        ConfigError: It failed, with the reason; the folder holds such a run already.
    """
    again: dict[str, Any] = {}
    for each in (*needed, found):
        run = planned(each)
        if (work / run.key).exists():
            raise ConfigError(
                f"'{work / run.key}' is there already, and a repetition begins afresh: "
                "choose another folder with --work-dir"
            )
        job = write_job(run, work / "results", work, data_root)
        with open(log_of(job), "ab") as log:
            subprocess.run(command(job), env=environment(job), stdout=log, stderr=log)
        path = record.record_path(work / "results", run)
        again = read_json(path) if path.is_file() else {}
        if again.get("status") != "ok":
            reason = again.get("reason", f"see {log_of(job)}")
            raise ConfigError(f"run {run.key} could not be repeated: {reason}")
    return again


def planned(found: Mapping[str, Any]) -> PlannedRun:
    """What was planned for a run, by its record."""
    names = ("key", "suite", "labels", "config", "options", "seed", "division")
    return PlannedRun(
        **{name: found[name] for name in names},
        threads=found["threads"],
        device=found.get("device", "cpu"),
        resolved=found["resolved"],
        data=found["data"],
    )
