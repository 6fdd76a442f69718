"""Reading a config file; what is wrong in it is said with its file and line."""

from __future__ import annotations

import difflib
import re
import traceback
from pathlib import Path

from mmengine.config import Config

from cmim.engine.config_error import ConfigError
from cmim.engine.config_names import find_config
from cmim.engine.sentences import sentence_of


def read_config_file(path: str | Path) -> Config:
    """Run a config file.

    Args:
        path: Pure-Python config, or the name of one of the project's.

    Raises:
        ConfigError: There is no such file, or it cannot be run: a syntax error, an
            unknown name, a base or a component that cannot be imported.
    """
    path = find_config(path)
    if path.is_dir():
        raise ConfigError(
            f"config '{path}' is a folder; name one of its files{_near(path / 'x')}"
        )
    if not path.is_file():
        raise ConfigError(f"config '{path}' does not exist{_near(path)}")
    if path.suffix != ".py":
        raise ConfigError(
            f"config '{path}' is no Python file; configs are Python code (.py), and "
            "other kinds, which look like data, can name code to run as well: write it "
            f"as a .py file, see configs/{_near(path)}"
        )
    try:
        # Its text goes into every checkpoint: laying it out took longer than writing.
        config = Config.fromfile(str(path), format_python_code=False)
        _import_all(config)
        return config
    except (Exception, SystemExit) as error:
        raise ConfigError(_said(error, path)) from error


def _near(path: Path) -> str:
    """The configs beside a path, those of a similar name first."""
    names = sorted(p.name for p in path.parent.glob("*.py")) if path.parent else []
    close = difflib.get_close_matches(path.name, names, n=3)
    if close:
        return f"; did you mean {' or '.join(close)}?"
    return f"; beside it there are {', '.join(names)}" if names else "; see configs/"


def _said(error: BaseException, path: Path) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if f.name == "<module>" and f.filename.endswith(".py")]
    # Frames of modules that the config imports come behind that of the config.
    files = _files_read(error) or [str(path)]
    lines = [f.lineno for f in own if f.filename == files[-1]]
    line = error.lineno if isinstance(error, SyntaxError) else (lines or [None])[0]
    where = f"config '{files[-1]}'" + (f", line {line}" if line else "")
    if isinstance(error, SyntaxError):
        return f"{where}: {error.msg}"
    text = str(error)
    base = re.match(r"(\S+\.py) not found! It means", text)
    if base:
        return f"{where}: its base '{base[1]}' does not exist{_near(Path(base[1]))}"
    if isinstance(error, NameError):
        return f"{where}: {text}; define or import it"
    if isinstance(error, KeyError):
        text = f"there is no {error} where it is taken from"
        return f"{where}: {text}; check the names of imports and keys"
    if isinstance(error, SystemExit):
        return f"{where}: SystemExit; a config describes, it must not end the program"
    if isinstance(error, RecursionError):
        return f"{where}: its bases read each other in a circle"
    found = re.match(r"Failed to import (.+?) in (.+?), line (\d+)( for .+)?", text)
    if found:
        why = f": {found[4][5:]}" if found[4] else ""
        return (
            f"config '{found[2]}', line {found[3]}: cannot import {found[1]}{why}; "
            "check the names"
        )
    return f"{where}: {sentence_of(error)}"


def _files_read(error: BaseException) -> list[str]:
    """The config and its bases that were being read, the innermost last."""
    files = []
    for frame, _ in traceback.walk_tb(error.__traceback__):
        name = frame.f_code.co_name
        if name in ("_parse_lazy_import", "_file2dict", "_is_lazy_import"):
            files.append(str(frame.f_locals.get("filename")))
    return files


def _import_all(node: object) -> None:
    """Import what a config names, so that a wrong name is said with its line."""
    if hasattr(node, "items"):
        for _, value in node.items():
            _import_all(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            _import_all(value)
