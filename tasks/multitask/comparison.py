"""A joint run against single-task runs: gain of the tasks, time, memory.

Checked: Delta_m against ``calculate_multi_task_performance`` of
github.com/SimonVandenhende/Multi-Task-Learning-PyTorch, commit ed3d9ac, on one example
of four tasks: equal to the six decimals that are kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cmim.json_file import read_json
from cmim.task import known_tasks


class ComparisonError(ValueError):
    """Runs that cannot be compared, or a folder that holds none."""


def relative_gain(joint: float, single: float, higher: bool) -> float:
    r"""Relative change of a figure, positive where the joint model is better, percent.

    .. math:: 100 \, (-1)^{l} \, \frac{M_{joint} - M_{single}}{M_{single}}

    with l = 1 for figures of which a lower value is better, else 0. The mean over the
    tasks is the Delta_m of the multi-task literature.

    Args:
        joint: Figure of the joint run.
        single: Of the single-task run, not 0.
        higher: Whether larger is better.

    References:
        Maninis, Radosavovic, Kokkinos, Attentive Single-Tasking of Multiple Tasks,
        CVPR 2019. https://arxiv.org/abs/1904.08918
        Vandenhende et al., Multi-Task Learning for Dense Prediction Tasks: A Survey,
        TPAMI 2021. https://arxiv.org/abs/2004.13379

    Examples:
        >>> relative_gain(44.0, 40.0, higher=True)
        10.0
        >>> relative_gain(0.6, 0.5, higher=False)
        -20.0
    """
    if single == 0:
        raise ComparisonError("the single-task figure is 0: a relative gain needs more")
    change = 100 * (joint - single) / abs(single)
    return round(change if higher else -change, 6)


def read_run(folder: str | Path) -> dict[str, Any]:
    """What a run left: its ``metrics.json`` and the settings of ``run.json``.

    Raises:
        ComparisonError: One of the files is missing, or the run was not tested.
    """
    folder = Path(folder)
    found: dict[str, Any] = {}
    for name in ("run.json", "metrics.json"):
        if not (folder / name).is_file():
            raise ComparisonError(
                f"'{folder / name}' does not exist; give the folder of a finished run "
                "of tools/train.py"
            )
        found |= read_json(folder / name)
    if not found.get("test"):
        raise ComparisonError(
            f"'{folder / 'metrics.json'}' has no test figures; train without --no-test"
        )
    return dict(found, folder=str(folder))


def run_config(folder: str | Path) -> Path:
    """The config of a run, as it was trained with all overrides."""
    record = read_json(Path(folder) / "run.json")
    return Path(folder) / Path(record["config"]).name


def compare(
    joint: Mapping[str, Any],
    singles: Sequence[Mapping[str, Any]],
    higher: Mapping[str, bool] | None = None,
) -> dict[str, Any]:
    """Compare runs as :func:`read_run` gives them.

    Args:
        joint: The joint run.
        singles: A run for each task, some or all of the joint run's.
        higher: Figures to compare, and whether larger is better; one a task. Those
            that stand for the known tasks when None.

    Returns:
        ``tasks``, a row per single run (``figure``, ``joint``, ``single``, ``gain`` in
        percent); ``delta_m``, the mean gain; ``minutes_ratio``, the joint run's time
        over the sum of the others'; ``memory_ratio``, its peak memory over the largest
        of theirs, as they run one after another, and ``memory_sum_ratio`` over their
        sum, as they run side by side (both also for GPUs where known); ``remarks`` on
        settings in which the runs differ.

    Raises:
        ComparisonError: A run has none of the figures or several, or the joint run
            lacks one.
    """
    tasks = known_tasks().values()
    main = {task.figure: task.higher_is_better for task in tasks}
    figures = main if higher is None else higher
    if not singles:
        raise ComparisonError("give the folder of one single-task run or more")
    rows = [_row(joint, single, figures) for single in singles]
    names = [row["figure"] for row in rows]
    if len(set(names)) < len(names):
        raise ComparisonError(f"two single-task runs have the same task: {names}")
    return dict(
        tasks=rows,
        delta_m=sum(row["gain"] for row in rows) / len(rows),
        **_costs(joint, singles),
        remarks=_remarks(joint, singles),
    )


def _row(
    joint: Mapping[str, Any], single: Mapping[str, Any], figures: Mapping[str, bool]
) -> dict[str, Any]:
    ours, theirs = _by_bare_name(joint["test"]), _by_bare_name(single["test"])
    found = [name for name in figures if name in theirs]
    if len(found) != 1:
        raise ComparisonError(
            f"'{single['folder']}' has {len(found)} of the figures "
            f"{', '.join(figures)}; a single-task run has one of them"
        )
    (name,) = found
    if name not in ours:
        raise ComparisonError(
            f"the joint run '{joint['folder']}' has no {name}, which "
            f"'{single['folder']}' has; compare runs of its own tasks"
        )
    return dict(
        figure=name,
        joint=ours[name],
        single=theirs[name],
        gain=relative_gain(ours[name], theirs[name], figures[name]),
        run=single["folder"],
    )


def _by_bare_name(test: Mapping[str, Any]) -> dict[str, float]:
    """Figures without the prefix of their task."""
    return {name.rpartition("/")[2]: value for name, value in test.items()}


def _costs(
    joint: Mapping[str, Any], singles: Sequence[Mapping[str, Any]]
) -> dict[str, float]:
    costs = {}
    for name, key, together in (
        ("minutes_ratio", "minutes", sum),
        ("memory_ratio", "peak_memory_gb", max),
        ("memory_sum_ratio", "peak_memory_gb", sum),
        ("gpu_memory_ratio", "peak_gpu_memory_gb", max),
        ("gpu_memory_sum_ratio", "peak_gpu_memory_gb", sum),
    ):
        if all(run.get(key) for run in (joint, *singles)):
            costs[name] = joint[key] / together(run[key] for run in singles)
    return costs


def _remarks(joint: Mapping[str, Any], singles: Sequence[Mapping[str, Any]]) -> list:
    remarks = []
    for key in ("steps", "network", "threads", "world_size", "seed"):
        other = [run["folder"] for run in singles if run.get(key) != joint.get(key)]
        if other:
            remarks.append(f"{key} differs from that of {', '.join(other)}")
    return remarks


def as_table(comparison: Mapping[str, Any]) -> str:
    """The comparison as text."""
    lines = [f"{'figure':12s} {'single':>9s} {'joint':>9s} {'gain %':>8s}"]
    lines += [
        f"{row['figure']:12s} {row['single']:9.4f} {row['joint']:9.4f} "
        f"{row['gain']:+8.2f}"
        for row in comparison["tasks"]
    ]
    lines.append(f"Delta_m {comparison['delta_m']:+.2f} %")
    for name, against in (
        ("minutes_ratio", "the sum of the single runs' training time"),
        ("memory_ratio", "the largest single run's peak memory"),
        ("memory_sum_ratio", "the sum of the single runs' peak memory"),
        ("gpu_memory_ratio", "the largest single run's peak GPU memory"),
        ("gpu_memory_sum_ratio", "the sum of the single runs' peak GPU memory"),
    ):
        if name in comparison:
            lines.append(f"{comparison[name]:.2f} of {against}")
    return "\n".join([*lines, *(f"note: {r}" for r in comparison["remarks"])])
