"""A part of a plan, by the values of its axes."""

from __future__ import annotations

from collections.abc import Sequence

from cmim.engine.config import ConfigError
from cmim.suite.plan import PlannedRun


def select(runs: Sequence[PlannedRun], wanted: Sequence[str]) -> list[PlannedRun]:
    """Runs with some values, and those that they need.

    Args:
        runs: A plan.
        wanted: ``AXIS=VALUE`` or ``seed=N``; of one axis any value counts, and of
            several axes all.

    Raises:
        ConfigError: A word of another form, or a value that no run has.
    """
    chosen: dict[str, set[str]] = {}
    for word in wanted:
        axis, found, value = word.partition("=")
        known = sorted({_value(run, axis) for run in runs} - {""})
        if not found or value not in known:
            axes = sorted({axis for run in runs for axis in run.labels} | {"seed"})
            what = known or axes
            kind = f"values of {axis}" if known else "axes"
            raise ConfigError(
                f"--only {word!r} fits no run; the {kind} are {', '.join(what)}"
            )
        chosen.setdefault(axis, set()).add(value)
    if not chosen:
        return list(runs)
    kept = {
        run.key
        for run in runs
        if all(_value(run, axis) in values for axis, values in chosen.items())
    }
    # Needed ones stand in front.
    for run in reversed(runs):
        if run.key in kept:
            kept.update(run.needs)
    return [run for run in runs if run.key in kept]


def _value(run: PlannedRun, axis: str) -> str:
    return str(run.seed) if axis == "seed" else run.labels.get(axis, "")
