"""Multiplies a suite out into runs, each known by what its result depends on."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from mmengine.config import Config

from cmim.digest import sha256_of
from cmim.engine.config import ConfigError, load_config, used_parts
from cmim.suite.definition import PARTS, Suite

# Of recipe, splits and metrics: figures of two protocols are not compared.
PROTOCOL = "2026.11"
# Digits of a key that names a run.
DIGITS = 16
_NEEDED = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class PlannedRun:
    """A training, its test, and what both depend on.

    Attributes:
        key: Digest of resolved config, seed, data and protocol, :data:`DIGITS` digits.
        suite: Name of the suite.
        labels: Value by axis; of a run that others need its name as ``needed``.
        config: Name or path of the config.
        options: Overrides, with ``run:KEY`` in place of a needed run's checkpoint.
        seed: Of everything random.
        division: See :class:`~cmim.suite.definition.Suite`.
        threads: CPU threads.
        resolved: The whole config as plain values, without places on this machine.
        data: Digest of the data set.
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

    @property
    def needs(self) -> list[str]:
        """Keys of the runs whose checkpoints this one reads."""
        texts = [v for v in self.options.values() if isinstance(v, str)]
        return sorted({t.removeprefix("run:") for t in texts if t.startswith("run:")})

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
            with the run that says so; a needed run that is not described.
    """
    planned: dict[str, PlannedRun] = {}
    for labels, change in _combinations(suite):
        for seed in suite.seeds:
            for run in _with_needed(suite, labels, change, seed, dict(options or {})):
                planned.setdefault(run.key, run)
    return list(planned.values())


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
    for option, value in own.items():
        for name in _NEEDED.findall(value) if isinstance(value, str) else ():
            if name not in known:
                raise ConfigError(
                    f"suite '{suite.name}': {option}={value!r} needs a run that is not "
                    f"described; needs has {', '.join(known) or 'none'}"
                )
            need = dict(known[name])
            of = need.pop("seed", None)
            part = dict(labels={"needed": name}, config=need.pop("config", config))
            run = _run(suite, **part, own=need, seed=seed if of is None else of,
                       options=options)  # fmt: skip
            yield run
            own[option] = f"run:{run.key}"
    yield _run(suite, labels, config, own, seed, options)


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
        resolved = resolve(load_config(config, dict(given)))
    except ConfigError as error:
        named = ", ".join(f"{axis}={label}" for axis, label in labels.items())
        raise ConfigError(f"suite '{suite.name}', {named}: {error}") from None
    data = data_digest(str(given.get("data_root", resolved.get("data_root", ""))))
    content = dict(
        protocol=PROTOCOL,
        config=_without_places(resolved),
        seed=seed,
        data=data,
        threads=suite.threads,
    )
    text = json.dumps(content, sort_keys=True, default=str)
    return PlannedRun(
        key=sha256_of(text.encode())[:DIGITS],
        suite=suite.name,
        labels=labels,
        config=config,
        options=given,
        seed=seed,
        division=suite.division,
        threads=suite.threads,
        resolved=content["config"],
        data=data,
    )


def resolve(config: Config) -> dict[str, Any]:
    """What a run reads of a config, as plain values; classes by their full names.

    Args:
        config: As :func:`cmim.engine.config.load_config` reads it.
    """
    plain = used_parts(Config(config.to_dict()))
    read = {k: v for k, v in plain.items() if not k.startswith("_")}
    return json.loads(json.dumps(read, sort_keys=True, default=str))


def _without_places(resolved: Any) -> Any:
    """A config without the folder of the data, which its digest stands for."""
    if isinstance(resolved, dict):
        return {k: _without_places(v) for k, v in resolved.items() if k != "data_root"}
    return (
        [_without_places(v) for v in resolved]
        if isinstance(resolved, list)
        else resolved
    )


@cache
def data_digest(folder: str) -> str:
    """SHA-256 of a data set: names, sizes, and the content of its lists.

    Pictures are told apart by name and size, so that 100,000 of them take a second.

    Args:
        folder: Of the data set.

    Raises:
        ConfigError: It is not there, or empty.
    """
    root = Path(folder)
    files = sorted(p for p in root.rglob("*") if p.is_file()) if root.is_dir() else []
    if not files:
        raise ConfigError(
            f"data set '{folder}' is not there or empty; say where it lies with "
            "--cfg-options data_root=FOLDER"
        )
    parts: list[bytes | Path] = []
    for file in files:
        name = file.relative_to(root).as_posix()
        parts.append(f"{name} {file.stat().st_size}\n".encode())
        if file.suffix in (".txt", ".json", ".csv"):
            parts.append(file)
    return sha256_of(*parts)[:DIGITS]
