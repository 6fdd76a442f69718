"""What a suite's file says: axes whose values are overrides, seeds, and a budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cmim.engine.config import ConfigError
from cmim.engine.config_file import read_config_file
from cmim.engine.config_names import configs_folder
from cmim.optional_packages import require_packages
from cmim.suite.division import keys_outside

DIVISIONS = ("closed", "open")
DEVICES = ("cpu", "cuda", "npu", "mlu", "mps", "musa")
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
    "device": str,
    "examples": int,
    "latency": bool,
    "corruptions": Mapping,
}
CORRUPTIONS = ("kinds", "severities", "images")
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
            the checkpoint; a needed run may need another.
        baseline: Values of axes that the others are compared with.
        division: ``'closed'`` (one recipe, only binarizer or loss changes, see
            :func:`cmim.suite.division.keys_outside`) or ``'open'``.
        threads: CPU threads of a run; they change the last bits of its figures.
        device: Kind of device of all runs; that of the planning machine when None.
        examples: Test frames whose predictions are kept as small pictures.
        latency: Measure the milliseconds of an image, in OpenVINO on the CPU.
        corruptions: Test on corrupted pictures, too: ``kinds``, ``severities`` and
            ``images`` of :func:`cmim.engine.robustness.measure_robustness`, all with
            its defaults; None for no such test.
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
    device: str | None = None
    examples: int = 0
    latency: bool = False
    corruptions: dict[str, Any] | None = None

    @property
    def after(self) -> dict[str, Any]:
        """What its runs do behind their test, which changes no figure of it."""
        asked = dict(examples=self.examples, latency=self.latency)
        found: dict[str, Any] = {name: value for name, value in asked.items() if value}
        if self.corruptions is not None:
            found["corruptions"] = self.corruptions
        return found


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
    # A leading underscore is a name that the file needs for itself.
    content = {
        key: value
        for key, value in read_config_file(path).to_dict().items()
        if not key.startswith("_")
    }
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
        device=content.get("device"),
        examples=content.get("examples", 0),
        latency=content.get("latency", False),
        corruptions=_options(content.get("corruptions")),
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


def _options(found: Mapping | None) -> dict[str, Any] | None:
    return None if found is None else dict(found)


def _check_after(where: str, suite: Suite) -> None:
    """Refuse what runs could not do behind their test, before the first one begins."""
    if suite.examples < 0:
        raise ConfigError(f"{where}: examples must be 0 or more, got {suite.examples}")
    if suite.latency:
        require_packages("latency=True", "openvino")
    if suite.corruptions is None:
        return
    unknown = set(suite.corruptions) - set(CORRUPTIONS)
    if unknown:
        raise ConfigError(
            f"{where}: corruptions has {', '.join(CORRUPTIONS)}, not '{min(unknown)}'"
        )
    from cmim.engine.corruptions import KINDS, SEVERITIES, check_corruptions

    try:
        check_corruptions(
            **{"kinds": KINDS, "severities": SEVERITIES, "images": None}
            | suite.corruptions
        )
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None


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
    if suite.device not in (None, *DEVICES):
        raise ConfigError(
            f"{where}: device {suite.device!r}; choose from {', '.join(DEVICES)}"
        )
    for key in ("steps", "threads"):
        value = getattr(suite, key)
        if value is not None and value < 1:
            raise ConfigError(f"{where}: {key} must be at least 1, got {value}")
    _check_after(where, suite)
    for axis, label in suite.baseline.items():
        if label not in suite.axes.get(axis, {}):
            known = ", ".join(suite.axes.get(axis, {})) or "no such axis"
            raise ConfigError(
                f"{where}: baseline {axis}={label!r} is no value of an axis ({known})"
            )
    if [name for name in suite.needs if f"{{{name}}}" in str(suite.options)]:
        raise ConfigError(
            f"{where}: options hold for needed runs, too, and so cannot need one; say "
            "it in a value of an axis"
        )
    if suite.division == "closed":
        _check_closed(where, suite)


def _check_closed(where: str, suite: Suite) -> None:
    for axis, values in suite.axes.items():
        for label, change in values.items():
            change = {k: v for k, v in change.items() if k != "needs"}
            for key in keys_outside(change):
                raise ConfigError(
                    f"{where}: {axis}={label} changes '{key}', and in a closed suite "
                    "only binarizers (method), the contrastive loss and its teacher "
                    "may differ between rows; put it into options for all of them, or "
                    "write division = 'open'"
                )
