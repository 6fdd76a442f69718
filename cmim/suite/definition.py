"""What a suite's file says: axes whose values are overrides, seeds, and a budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cmim.engine.config import ConfigError
from cmim.engine.config_file import read_config_file
from cmim.engine.config_names import configs_folder

DIVISIONS = ("closed", "open")
KEYS = {
    "config": str,
    "axes": Mapping,
    "seeds": (list, tuple),
    "steps": int,
    "options": Mapping,
    "needs": Mapping,
    "baseline": Mapping,
    "division": str,
    "threads": int,
    "examples": int,
}
# What a value of an axis, and a run that others need, may say beside overrides.
PARTS = {"config", "needs"}


@dataclass(frozen=True)
class Suite:
    """A table of runs, before it is multiplied out.

    Attributes:
        name: Of its file.
        config: The config that values of the axes change; they may name another.
        axes: Axis, its values, and what each changes: dotted overrides, ``config`` (the
            name of another config) and ``needs`` (runs whose checkpoint it reads).
        seeds: Of the runs, each of which stands for a column of repetitions.
        steps: Of each training; as the config says when None.
        options: Overrides of all runs.
        needs: Runs that others need by name: ``config``, ``seed`` (that of the run that
            needs it when None) and overrides. ``"{NAME}"`` in an override stands for
            the checkpoint.
        baseline: Values of axes that the others are compared with.
        division: ``'closed'`` (one recipe, only binarizer or loss changes) or
            ``'open'``.
        threads: CPU threads of a run; they change the last bits of its figures.
        examples: Test frames whose predictions are kept as small pictures.
    """

    name: str
    config: str | None
    axes: dict[str, dict[str, dict[str, Any]]]
    seeds: tuple[int, ...] = (0,)
    steps: int | None = None
    options: dict[str, Any] = field(default_factory=dict)
    needs: dict[str, dict[str, Any]] = field(default_factory=dict)
    baseline: dict[str, str] = field(default_factory=dict)
    division: str = "open"
    threads: int = 1
    examples: int = 0

    @property
    def after(self) -> dict[str, Any]:
        """What its runs do behind their test, which changes no figure of it."""
        return {k: v for k, v in (("examples", self.examples),) if v}


def suites_folder() -> Path:
    """Where the project's suites lie."""
    return configs_folder() / "suites"


def find_suite(name: str | Path) -> Path:
    """The file that a path, or the name of one of the project's suites, means.

    Examples:
        >>> find_suite("rooms_small").name
        'rooms_small.py'
    """
    path = Path(name)
    ours = suites_folder() / path.with_suffix(".py").name
    return path if path.is_file() or not ours.is_file() else ours


def read_suite(path: str | Path) -> Suite:
    """Read a suite's file.

    Args:
        path: A Python file, or the name of one of the project's suites.

    Raises:
        ConfigError: There is no such file, it says what no suite can mean, or a
            baseline that no axis has.

    Examples:
        >>> suite = read_suite("rooms_small")
        >>> {axis: list(values) for axis, values in suite.axes.items()}
        {'method': ['bireal', 'reactnet'], 'loss': ['none', 'latent']}
    """
    path = find_suite(path)
    content = read_config_file(path).to_dict()
    where = f"suite '{path}'"
    for key, value in content.items():
        if key not in KEYS:
            raise ConfigError(f"{where}: unknown '{key}'; it has {', '.join(KEYS)}")
        if not isinstance(value, KEYS[key]):  # type: ignore[arg-type]
            raise ConfigError(f"{where}: {key}={value!r} is of another kind")
    axes = {
        axis: {str(label): _change(where, change) for label, change in values.items()}
        for axis, values in _mappings(where, "axes", content.get("axes", {})).items()
    }
    suite = Suite(
        name=path.stem,
        config=content.get("config"),
        axes=axes,
        seeds=tuple(content.get("seeds", (0,))),
        steps=content.get("steps"),
        options=dict(content.get("options", {})),
        needs=_mappings(where, "needs", content.get("needs", {})),
        baseline=dict(content.get("baseline", {})),
        division=content.get("division", "open"),
        threads=content.get("threads", 1),
        examples=content.get("examples", 0),
    )
    _check(where, suite)
    return suite


def _mappings(where: str, key: str, found: Mapping) -> dict[str, dict]:
    for name, value in found.items():
        if not isinstance(value, Mapping) or not value:
            raise ConfigError(
                f"{where}: {key}['{name}'] must be a dictionary with something in it, "
                f"got {value!r}"
            )
    return {str(name): dict(value) for name, value in found.items()}


def _change(where: str, change: Any) -> dict[str, Any]:
    if not isinstance(change, Mapping):
        raise ConfigError(
            f"{where}: a value of an axis is a dictionary of overrides, such as "
            f"{{'model.partner': 'none'}}, got {change!r}"
        )
    return dict(change)


def _check(where: str, suite: Suite) -> None:
    if not suite.seeds or any(type(s) is not int or s < 0 for s in suite.seeds):
        raise ConfigError(
            f"{where}: seeds must be whole numbers from 0 on, got {list(suite.seeds)}"
        )
    if len(set(suite.seeds)) < len(suite.seeds):
        raise ConfigError(f"{where}: a seed is there twice: {list(suite.seeds)}")
    if suite.division not in DIVISIONS:
        raise ConfigError(
            f"{where}: division {suite.division!r}; choose from {', '.join(DIVISIONS)}"
        )
    for key in ("steps", "threads"):
        value = getattr(suite, key)
        if value is not None and value < 1:
            raise ConfigError(f"{where}: {key} must be at least 1, got {value}")
    if suite.examples < 0:
        raise ConfigError(f"{where}: examples must be 0 or more, got {suite.examples}")
    for axis, label in suite.baseline.items():
        if label not in suite.axes.get(axis, {}):
            known = ", ".join(suite.axes.get(axis, {})) or "no such axis"
            raise ConfigError(
                f"{where}: baseline {axis}={label!r} is no value of an axis ({known})"
            )
