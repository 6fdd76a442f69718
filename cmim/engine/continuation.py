"""A resumed run is the run that was started: its config is compared, key by key."""

from __future__ import annotations

import ast
import re
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import HOOKS

from cmim.engine.config import LENT, ConfigError
from cmim.former_names import with_current_options

# What may change between two halves of a run: where it runs, how fast, what it logs.
HARMLESS = re.compile(
    r"(work_dir|resume|launcher|log_level|sync_bn|find_unused_parameters)"
    r"|(log_processor|visualizer|vis_backends|env_cfg)(\..*)?"
    r"|\w+_dataloader\.(num_workers|persistent_workers|prefetch_factor|pin_memory"
    r"|timeout|multiprocessing_context)"
    r"|(val|test)_dataloader\.batch_size"
    r"|default_hooks\.(logger|timer|runtime_info)(\..*)?"
    r"|default_hooks\.checkpoint\.interval"
    r"|.*\.pipeline\.\d+\.cache"
    rf"|({'|'.join(LENT)})(\..*)?"
)
MOVED = re.compile(r"data_root|\w+_dataloader\..*data_root")
# Hooks that only watch.
WATCHING = {"RecordFlips", "RecordTiming"}
OURS = {"cmim", "tasks", "mmengine", "mmseg", "mmcv"}
SHOWN = 3


def read_settings(text: str) -> dict[str, Any]:
    """A config's text as dotted names and plain values; nothing in it is executed.

    Types are called by the last part of their name, hooks by their type, and options
    as they are called today.

    Args:
        text: What ``Config.pretty_text`` gives.

    Raises:
        SyntaxError: The text is no Python.

    Examples:
        >>> read_settings("a = dict(b=[1, 2.5], type='x.Y')")
        {'a.b.0': 1, 'a.b.1': 2.5, 'a.type': 'Y'}
    """
    content = {
        node.targets[0].id: _value(node.value)
        for node in ast.parse(text).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    hooks = content.get("custom_hooks")
    if isinstance(hooks, list):
        content["custom_hooks"] = {
            _last(h.get("type")): h for h in hooks if isinstance(h, dict)
        }
    if "model" in content:
        content["model"] = with_current_options(content["model"])
    flat: dict[str, Any] = {}
    _flatten(content, "", flat)
    return flat


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "dict":
        found: dict[Any, Any] = {}
        for part in node.args:
            given = _value(part)
            found.update(given if isinstance(given, dict) else {})
        for keyword in node.keywords:
            given = _value(keyword.value)
            inner = given if keyword.arg is None else {keyword.arg: given}
            found.update(inner if isinstance(inner, dict) else {})
        return found
    if isinstance(node, ast.Dict) and None not in node.keys:
        keys = (_value(key) for key in node.keys if key is not None)
        return dict(zip(keys, map(_value, node.values), strict=True))
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_value(part) for part in node.elts]
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ast.unparse(node)


def _flatten(value: Any, name: str, flat: dict[str, Any]) -> None:
    parts: Any = ()
    if isinstance(value, dict):
        parts = value.items()
    elif isinstance(value, list):
        parts = enumerate(value)
    elif name.endswith(".type"):
        value = _last(value)
    if not parts:
        flat[name] = value
    for key, part in parts:
        _flatten(part, f"{name}.{key}" if name else str(key), flat)


def _last(kind: Any) -> str:
    return str(kind).rsplit(".", 1)[-1]


def check_continuation(config: Config, text: str, source: str) -> None:
    """Refuse to continue a run with a config that would make it another run.

    Another place of the data, and other hooks of one's own, are accepted and said.

    Args:
        config: The complete config of now.
        text: The config's text that the run was started with.
        source: Where that lies, for messages.

    Raises:
        ConfigError: Naming what differs, both values and the way out.
    """
    try:
        before = read_settings(text)
    except SyntaxError as error:
        raise ConfigError(
            f"the config that '{source}' was started with cannot be read "
            f"({error.msg}), so that --resume cannot compare it; start another run"
        ) from error
    now = read_settings(config.pretty_text)
    missing = object()
    changed = [
        key
        for key in (*before, *(k for k in now if k not in before))
        if before.get(key, missing) != now.get(key, missing) and not _may_change(key)
    ]
    said = [key for key in changed if MOVED.fullmatch(key) or _is_own_hook(key)]
    if said:
        print_log(f"resumed with other {_listed(said, before, now)}", logger="current")
    wrong = [key for key in changed if key not in said]
    if wrong:
        raise ConfigError(
            f"'{source}' was started with another {_listed(wrong, before, now)}; "
            f"{_way_out(wrong[0], before)}, or start another run with --work-dir or "
            "--overwrite"
        )


def _may_change(key: str) -> bool:
    hook = key.split(".")[1] if key.startswith("custom_hooks.") else None
    return key.startswith("_") or hook in WATCHING or bool(HARMLESS.fullmatch(key))


def _is_own_hook(key: str) -> bool:
    """Whether a key belongs to a hook that is no part of this project's libraries."""
    if not key.startswith("custom_hooks."):
        return False
    hook = HOOKS.get(key.split(".")[1])
    return hook is None or hook.__module__.partition(".")[0] not in OURS


def _listed(keys: list[str], before: dict[str, Any], now: dict[str, Any]) -> str:
    parts = [
        f"{key} ({_shown(before, key)} then, {_shown(now, key)} now)"
        for key in keys[:SHOWN]
    ]
    more = f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else ""
    return ", ".join(parts) + more


def _shown(settings: dict[str, Any], key: str) -> str:
    return repr(settings[key]) if key in settings else "not set"


def _way_out(key: str, before: dict[str, Any]) -> str:
    if key.startswith("optim_wrapper.") and key.endswith((".type", ".loss_scale")):
        return "resume with the same --amp as then"
    if key not in before:
        return f"resume without {key}"
    return f"resume with {key}={before[key]}"
