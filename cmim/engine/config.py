"""Reading configs: short overrides, and typing errors said clearly."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

# Registers all encoders: an override may name one that the config does not import.
import cmim.encoders
import cmim.engine.quiet_mmseg  # noqa: F401
from cmim.data_parts import data_parts
from cmim.engine.config_bands import fit_bands
from cmim.engine.config_classes import check_classes
from cmim.engine.config_error import ConfigError
from cmim.engine.config_file import read_config_file
from cmim.engine.config_lent import check_lent
from cmim.engine.config_names import find_config
from cmim.engine.config_selection import KEY as SELECTION
from cmim.engine.config_selection import fit_selection
from cmim.engine.config_values import check_values
from cmim.engine.inference_mode import fit_test_cfg
from cmim.engine.loader_options import LOADERS, fit_loaders
from cmim.models.settings import default_loss

# Top-level keys besides those of mmengine's runner.
OWN_KEYS = {"data_root", "sync_bn", "find_unused_parameters", SELECTION}
# Parts that a base lends to the model; once the config is read, only the model counts.
LENT = {
    "task_model": "model.model (model where there is no CMIM)",
    "teacher": "model.teacher",
    "teacher_model": "model.teacher_model",
}
OWN_KEYS |= set(LENT)
# What only the command line says.
INSTEAD = {"resume": "--resume", "launcher": "--launcher"}


def load_config(path: str | Path, options: dict[str, Any] | None = None) -> Config:
    """Read a config file and apply overrides.

    ``data_root=FOLDER`` moves every data loader, ``model_selection=True`` trains on a
    part and evaluates on the validation split (docs/protocol.md). Any other override
    must lead to an existing part of the config; its last name may be new, the component
    that gets it refuses what it does not know. An override of a method's option
    (``...backbone.method.t_min=0.01``) works where the config has only its name.

    Args:
        path: Pure-Python config.
        options: Dotted names to values, as given by ``--cfg-options``.

    Raises:
        ConfigError: No such file, one that cannot be run, a top-level key that nothing
            reads, an override of a part that does not exist, a value that no component
            can mean, a head with another number of classes than the data,
            parts for other bands than the encoder's, or a ``test_cfg`` of the model
            that cannot be.
    """
    path = Path(path)
    config = read_config_file(path)
    check_lent(find_config(path), LENT)
    options = dict(options or {})
    moved, data_root = "data_root" in options, options.pop("data_root", None)
    # A method's name comes first, so that its options find it.
    for name, value in sorted(options.items(), key=lambda item: item[0].count(".")):
        _make_room_for_options(config, name)
        _check_override(config, name, value)
        config.merge_from_dict({name: value})
    _check_keys(config, path)
    check_values(used_parts(config), str(path))
    if moved:
        _move_data(config, data_root, options)
    fit_selection(config)
    check_classes(config, task_model_config(config) if config.get("model") else {})
    fit_loaders(config)
    if config.get("model"):
        fit_test_cfg(task_model_config(config), ConfigError)
        fit_bands(config, task_model_config(config))
    return config


def used_parts(config: Config) -> dict[str, Any]:
    """A config without what its bases have lent to the model."""
    return {k: v for k, v in config.items() if k not in LENT or "model" not in config}


def _move_data(config: Config, data_root: Any, options: Mapping[str, Any]) -> None:
    """Move all data sets but those that an option has named the folder of."""
    if not isinstance(data_root, str):
        raise ConfigError(f"override 'data_root' must be a folder, got {data_root!r}")
    config.data_root = data_root
    for loader in LOADERS:
        if config.get(loader) is None:
            continue
        require_parts(config, f"{loader}.dataset")
        parts = [
            (place, part)
            for place, part in data_parts(config, loader)
            if f"{place}.data_root" not in options
        ]
        roots = sorted({str(part.get("data_root")) for _, part in parts})
        if len(roots) > 1:
            raise ConfigError(
                f"override 'data_root' would move {' and '.join(roots)}, which "
                f"{loader} joins, into one folder; move each part: "
                f"{parts[0][0]}.data_root=FOLDER"
            )
        for _, part in parts:
            part["data_root"] = data_root


def task_model_config(config: Config) -> dict:
    """The model without the CMIM wrapper: what evaluation and export use.

    Raises:
        ConfigError: The config has no model, or the model no encoder.
    """
    require_parts(config, "model")
    # A partner is CMIM's: its config may have forgotten the model itself.
    wrapped = "model" in config.model or "partner" in config.model
    require_parts(config, *(["model.model"] if wrapped else []))
    require_parts(config, "model.model.backbone" if wrapped else "model.backbone")
    return config.model.model if wrapped else config.model


def require_parts(config: Config, *names: str) -> None:
    """Refuse a config that lacks a part, or has None in its place.

    Args:
        config: A config.
        names: Dotted names of parts.

    Raises:
        ConfigError: Naming the first that is missing.
    """
    for name in names:
        node: Any = config
        done: list[str] = []
        for part in name.split("."):
            there, node = node, _child(node, part)
            if node is None:
                where = f"'{'.'.join(done)}' has" if done else "it has"
                raise ConfigError(
                    f"config '{config.filename}' needs '{name}', and {where} no "
                    f"'{part}'; at that place there are "
                    f"{', '.join(_names(there)) or 'no parts'}"
                )
            done.append(part)


def pipelines_of(config: Config, loader: str) -> list[Any]:
    """Transforms of each data set of a loader (:func:`cmim.data_parts.data_parts`).

    Raises:
        ConfigError: The loader or one of its data sets has none.
    """
    require_parts(config, f"{loader}.dataset")
    parts = data_parts(config, loader)
    require_parts(config, *(f"{place}.pipeline" for place, _ in parts))
    return [part["pipeline"] for _, part in parts]


def _runner_keys() -> set[str]:
    return set(inspect.signature(Runner.__init__).parameters) - {"self", "cfg"}


def _check_keys(config: Config, path: Path) -> None:
    known = _runner_keys() | OWN_KEYS
    known |= getattr(config, "_imported_names", set())
    unknown = [k for k in config if k not in known and not k.startswith("_")]
    if unknown:
        raise ConfigError(
            f"config '{path}' has the unknown key {unknown[0]!r}; known keys are "
            f"{', '.join(sorted(_runner_keys() | OWN_KEYS))} (helper variables start "
            "with an underscore)"
        )


def _check_override(config: Config, name: str, value: Any) -> None:
    node: Any = config
    *parents, last = name.split(".")
    first = (*parents, last)[0]
    if name in INSTEAD:
        raise ConfigError(
            f"override '{name}' would change nothing; use {INSTEAD[name]} instead"
        )
    if first in LENT:
        raise ConfigError(
            f"override '{name}' would change nothing: '{first}' is in the model "
            f"already; override {LENT[first]} instead"
        )
    for depth, part in enumerate(parents):
        child = _child(node, part)
        if child is None:
            where = ".".join(parents[: depth + 1])
            raise ConfigError(
                f"override '{name}': the config has no '{where}'{_meant(node, part)}"
            )
        node = child
    if not parents and last not in config and last not in _runner_keys() | OWN_KEYS:
        raise ConfigError(f"override '{name}': unknown key{_meant(config, last)}")
    _check_replaced(node, name, value)


def _meant(node: Any, part: str) -> str:
    """The names at a place of the config, like the one given first."""
    names = list(_names(node))
    if part in names:
        return f" (it is {_child(node, part)} there)"
    close = difflib.get_close_matches(part, names, n=2)
    did = f" (did you mean {' or '.join(close)}?)" if close else ""
    return f"{did}; at that place there are {', '.join(names) or 'no parts'}"


def _check_replaced(node: Any, name: str, value: Any) -> None:
    """Refuse a value in the place of a part, and a part in the place of a value."""
    *parents, last = name.split(".")
    if isinstance(node, (list, tuple)):
        if _child(node, last) is None or not isinstance(value, dict):
            raise ConfigError(
                f"override '{name}': '{'.'.join(parents)}' is a list of {len(node)}; "
                f"name an option of an entry, {'.'.join(parents)}.0.OPTION=VALUE, or "
                "give the whole list"
            )
        return
    if not hasattr(node, "get"):
        raise ConfigError(
            f"override '{name}': '{'.'.join(parents)}' is {node!r}, which has no parts"
        )
    child = _child(node, last)
    part = hasattr(child, "keys") and "type" in child
    if part and value is not None and not hasattr(value, "keys"):
        raise ConfigError(
            f"override '{name}': a part with {', '.join(_names(child))} cannot become "
            f"{value!r}; override one of these, such as {name}.type"
        )


def _make_room_for_options(config: Config, name: str) -> None:
    """Turn ``method='irnet'`` into ``method=dict(name='irnet')`` for its options.

    Likewise the wrapper's ``loss``, which need not be there: the preset has one, or
    there is a default.
    """
    *parents, key, _ = ["", "", *name.split(".")]
    loss = [*parents[2:], key] == ["model", "loss"]
    if key != "method" and not loss:
        return
    node: Any = config
    for part in parents[2:]:
        node = _child(node, part)
    if loss and "partner" in node and _child(node, key) is None:
        node[key] = default_loss(node.get("preset"))
    if node is not None and isinstance(_child(node, key), str):
        node[key] = dict(name=node[key])


def _child(node: Any, part: str) -> Any:
    if isinstance(node, (list, tuple)):
        return node[int(part)] if part.isdigit() and int(part) < len(node) else None
    return node.get(part) if hasattr(node, "get") else None


def _names(node: Any) -> Iterator[str]:
    if isinstance(node, (list, tuple)):
        return (str(i) for i in range(len(node)))
    return iter(node) if hasattr(node, "keys") else iter(())
