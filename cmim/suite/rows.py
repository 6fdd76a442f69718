"""Records of several seeds as rows: figures, spread, and gain over the baseline."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cmim.engine.config import ConfigError
from cmim.suite.side_files import sums_of
from cmim.suite.statistics import (
    Gain,
    Spread,
    gain_of,
    gain_over_images,
    interval_over_images,
    spread_of,
)
from cmim.task import known_tasks

# Of the test figures, those that say how it went and not how well.
_ASIDE = ("images", "seconds", "images_per_second", "measured_share")


@dataclass(frozen=True)
class Row:
    """What differs in seed only.

    Attributes:
        suite: Its suite.
        labels: Value by axis.
        seeds: Those that ended with figures.
        figures: Mean and spread by metric.
        gains: Gain over the baseline by metric; empty without a baseline.
        status: ``'ok'``, or ``'stale'`` where a record is of other code.
        records: The records.
        intervals: Of rows of one seed, both ends of the 95 % interval over test images
            by metric, as far as the run has kept their sums.
    """

    suite: str
    labels: dict[str, str]
    seeds: tuple[int, ...]
    figures: dict[str, Spread]
    gains: dict[str, Gain]
    status: str
    records: tuple[Mapping[str, Any], ...]
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)


def rows_of(
    records: Sequence[Mapping[str, Any]], baseline: Mapping[str, str] | None = None
) -> list[Row]:
    """Group records by all but their seeds.

    Args:
        records: As :func:`cmim.suite.record.read_records` gives them.
        baseline: Values of axes that the others are compared with; as their suites say
            when None.

    Returns:
        Rows in the order of their first records; failed runs are left out.

    Raises:
        ConfigError: Two records of one row and seed, from before and after the suite,
            its data or its config were changed.
    """
    groups: dict[tuple, list[Mapping[str, Any]]] = {}
    for record in records:
        if record["status"] != "failed":
            key = (record["suite"], *sorted(record["labels"].items()))
            group = groups.setdefault(key, [])
            _check_alone(group, record)
            group.append(record)
    rows = []
    for (suite, *items), group in groups.items():
        labels = dict(items)
        wanted = group[0].get("baseline", {}) if baseline is None else baseline
        base = {**labels, **wanted}
        theirs = groups.get((suite, *sorted(base.items())), [])
        compared = base != labels and set(wanted) <= set(labels)
        rows.append(_row(suite, labels, group, theirs if compared else []))
    return rows


def in_order(
    rows: Sequence[Row], baseline: Mapping[str, str] | None = None
) -> list[Row]:
    """Rows of a suite by their labels, the baseline's in front: files have no order."""

    def place(row: Row) -> tuple:
        own = row.records[0].get("baseline", {})
        base = own if baseline is None else baseline
        labels = [(v != base.get(axis, v), v) for axis, v in row.labels.items()]
        return (row.suite, "needed" in row.labels, labels)

    return sorted(rows, key=place)


def _check_alone(group: Sequence[Mapping[str, Any]], record: Mapping[str, Any]) -> None:
    for other in group:
        if other["seed"] == record["seed"]:
            raise ConfigError(
                f"suite '{record['suite']}' has two records of {record['labels']} with "
                f"seed {record['seed']}: {other.get('path', other['key'])} and "
                f"{record.get('path', record['key'])}. Its file, data or a config were "
                "changed in between; move the older one away"
            )


def _row(
    suite: str,
    labels: dict[str, str],
    group: Sequence[Mapping[str, Any]],
    baseline: Sequence[Mapping[str, Any]],
) -> Row:
    names = metric_names(group)
    by_metric = {name: _by_seed(group, name) for name in names}
    gains = {
        name: gain_of(by_metric[name], _by_seed(baseline, name))
        for name in names
        if baseline
    }
    if len(group) == 1:
        gains.update(_gains_over_images(group[0], baseline, gains))
    return Row(
        suite=suite,
        labels={axis: group[0]["labels"][axis] for axis in group[0]["labels"]},
        seeds=tuple(sorted(record["seed"] for record in group)),
        figures={name: spread_of(list(v.values())) for name, v in by_metric.items()},
        gains=gains,
        status="stale"
        if any(r["status"] == "stale" for r in [*group, *baseline])
        else "ok",
        records=tuple(group),
        intervals=image_intervals(group[0]) if len(group) == 1 else {},
    )


def _gains_over_images(
    record: Mapping[str, Any],
    baseline: Sequence[Mapping[str, Any]],
    gains: Mapping[str, Gain],
) -> dict[str, Gain]:
    """Gains of one run over the baseline's of its seed, with intervals over images."""
    ours, found = sums_of(record), {}
    for other in baseline:
        if other["seed"] != record["seed"] or _test_of(other) != _test_of(record):
            continue
        theirs = sums_of(other)
        for name, figure in _figures_of_sums(
            [n for n in ours if n in theirs and n in gains]
        ):
            low, high = gain_over_images(ours[name], theirs[name], figure)
            found[name] = replace(gains[name], low=low, high=high)
    return found


def _test_of(record: Mapping[str, Any]) -> tuple[Any, Any]:
    """What a run was tested on: images are paired by their places in it."""
    loader = (record.get("resolved") or {}).get("test_dataloader") or {}
    return record.get("data"), loader.get("dataset")


def _figures_of_sums(names: Sequence[str]) -> Iterator[tuple[str, Callable]]:
    """Those metrics that are made of sums, and how."""
    of_sums = {task.figure: task.of_sums for task in known_tasks().values()}
    for name in names:
        figure = of_sums.get(name.rpartition("/")[2])
        if figure is not None:
            yield name, figure


def image_intervals(record: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """Intervals over the test images of one run, by metric.

    Args:
        record: As :func:`cmim.suite.record.read_records` gives it.

    Raises:
        SumsError: The file with the sums is damaged, or another one.
    """
    sums = sums_of(record)
    return {
        name: interval_over_images(sums[name], figure)
        for name, figure in _figures_of_sums([*sums])
    }


def metric_names(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Test metrics that all records have, in their order.

    Examples:
        >>> metric_names([{"test": {"mIoU": 8.5, "images": 3, "per_class": {}}}])
        ['mIoU']
    """
    first = records[0]["test"]
    return [
        name
        for name, value in first.items()
        if isinstance(value, (int, float))
        and not name.endswith(_ASIDE)
        and all(isinstance(r["test"].get(name), (int, float)) for r in records)
    ]


def _by_seed(records: Sequence[Mapping[str, Any]], name: str) -> dict[int, float]:
    return {
        record["seed"]: record["test"][name]
        for record in records
        if name in record.get("test", {})
    }
