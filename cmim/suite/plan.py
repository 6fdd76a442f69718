"""Multiplies a suite out into runs, each known by what its result depends on."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mmengine.device import get_device

from cmim.engine.config import ConfigError
from cmim.suite.content import content_of, key_of
from cmim.suite.definition import PARTS, Suite
from cmim.suite.needed_labels import tell_apart
from cmim.suite.needs import needed_keys, needed_names, with_keys


@dataclass(frozen=True)
class PlannedRun:
    """A training, its test, and what both depend on.

    Attributes:
        key: See :func:`cmim.suite.content.key_of`.
        suite: Name of the suite.
        labels: Value by axis; of a run that others need its name as ``needed``, and
            the axes that tell it from others of that name.
        config: Name or path of the config.
        options: Overrides, with ``run:KEY`` in place of a needed run's checkpoint.
        seed: Of everything random.
        division: See :class:`~cmim.suite.definition.Suite`.
        threads: CPU threads.
        resolved: The whole config as plain values, without places on this machine.
        data: Digest of the data.
        baseline: Values of axes that the others of the suite are compared with.
        device: Kind of device that it is computed on.
        after: What it does behind its test, see
            :attr:`cmim.suite.definition.Suite.after`.
    """

    key: str
    suite: str
    labels: dict[str, str]
    config: str
    options: dict[str, Any]
    seed: int
    division: str
    threads: int
    resolved: dict[str, Any] = field(repr=False)
    data: str = ""
    baseline: dict[str, str] = field(default_factory=dict)
    device: str = "cpu"
    after: dict[str, Any] = field(default_factory=dict)

    @property
    def needs(self) -> list[str]:
        """Keys of the runs whose checkpoints this one reads."""
        return sorted(needed_keys(self.options))

    @property
    def title(self) -> str:
        """Its labels and seed in a few words."""
        return ", ".join([*self.labels.values(), f"seed {self.seed}"])


def plan_suite(
    suite: Suite, options: Mapping[str, Any] | None = None
) -> list[PlannedRun]:
    """All runs of a suite, those that others need in front of them.

    Args:
        suite: As read from its file.
        options: Further overrides of all runs, e.g. ``data_root``.

    Raises:
        ConfigError: A config that does not exist or an override of what is not there,
            with the run that says so; a needed run that is not described, or whose name
            means two.
    """
    planned: dict[str, PlannedRun] = {}
    users: dict[str, list[dict[str, str]]] = {}
    for labels, change in _combinations(suite):
        for seed in suite.seeds:
            for run in _with_needed(suite, labels, change, seed, dict(options or {})):
                _add(planned, run)
                users.setdefault(run.key, []).append(labels)
    return tell_apart(list(planned.values()), users)


def _add(planned: dict[str, PlannedRun], run: PlannedRun) -> None:
    """A needed run that is a row as well is that row; two rows are never one run."""
    known = planned.get(run.key)
    if known is None or "needed" in known.labels:
        planned[run.key] = run
    elif "needed" not in run.labels and known.labels != run.labels:
        raise ConfigError(
            f"suite '{run.suite}': {run.title} and {known.title} are the same run, "
            "since what they change leads to one config; leave one out"
        )


def _combinations(suite: Suite) -> Iterator[tuple[dict[str, str], dict[str, Any]]]:
    """Each choice of a value per axis, and the changes of all of them."""
    axes = [[(axis, *item) for item in vs.items()] for axis, vs in suite.axes.items()]
    for choice in itertools.product(*axes):
        change: dict[str, Any] = {}
        for axis, label, part in choice:
            twice = set(change) & set(part) - {"needs"}
            if twice:
                raise ConfigError(
                    f"suite '{suite.name}': {axis}={label} and another axis both set "
                    f"'{min(twice)}'"
                )
            needs = {**change.get("needs", {}), **part.get("needs", {})}
            change = {**change, **part, "needs": needs}
        yield {axis: label for axis, label, _ in choice}, change


def _with_needed(
    suite: Suite,
    labels: dict[str, str],
    change: dict[str, Any],
    seed: int,
    options: dict[str, Any],
) -> Iterator[PlannedRun]:
    """A run behind those that it needs."""
    known = {**suite.needs, **change.get("needs", {})}
    config = change.get("config", suite.config)
    if config is None:
        raise ConfigError(
            f"suite '{suite.name}': {labels} has no config; give one to the suite or "
            "to a value of an axis"
        )
    own = {k: v for k, v in change.items() if k not in PARTS}
    yield from _behind_needed(suite, labels, config, own, seed, options, known)


def _behind_needed(
    suite: Suite,
    labels: dict[str, str],
    config: str,
    own: dict[str, Any],
    seed: int,
    options: dict[str, Any],
    known: dict[str, dict[str, Any]],
    users: tuple[str, ...] = (),
) -> Iterator[PlannedRun]:
    """The runs that overrides name, which may need others in turn, and the run."""
    where = f"suite '{suite.name}', {_named(labels)}"
    try:
        names = needed_names(own, known)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from None
    keys: dict[str, str] = {}
    for name in names:
        if name in users:
            circle = " needs ".join([*users[users.index(name) :], name])
            raise ConfigError(f"{where}: {circle}, so that none of them can begin")
        need = dict(known[name])
        of = need.pop("seed", None)
        for run in _behind_needed(
            suite, {"needed": name}, need.pop("config", config), need,
            seed if of is None else of, options, known, (*users, name),
        ):  # fmt: skip
            yield run
            keys[name] = run.key
    yield _run(suite, labels, config, with_keys(own, keys), seed, options)


def _named(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{axis}={label}" for axis, label in labels.items())


def _run(
    suite: Suite,
    labels: dict[str, str],
    config: str,
    own: dict[str, Any],
    seed: int,
    options: dict[str, Any],
) -> PlannedRun:
    budget = {} if suite.steps is None else {"train_cfg.max_iters": suite.steps}
    given = {**budget, **suite.options, **options, **own}
    try:
        content = content_of(
            config, given, seed, suite.threads, suite.device or get_device()
        )
    except ConfigError as error:
        raise ConfigError(f"suite '{suite.name}', {_named(labels)}: {error}") from None
    return PlannedRun(
        key=key_of(content),
        suite=suite.name,
        labels=labels,
        config=config,
        options=given,
        seed=seed,
        division=suite.division,
        threads=suite.threads,
        resolved=content["config"],
        data=content["data"],
        baseline=suite.baseline,
        device=content["device"],
        after=suite.after,
    )
