"""What a processor can do, as the system lists it. Imports the standard library."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")


def cpu_flags(path: str | Path = CPUINFO) -> frozenset[str] | None:
    """Names of what the first processor can do; None where the system has no list.

    Args:
        path: Linux' list; x86 calls the line ``flags``, ARM ``Features``.

    Examples:
        >>> cpu_flags("no such file") is None
        True
    """
    return _words_of(("flags", "Features"), path)


def cpu_name(path: str | Path = CPUINFO) -> str:
    """The first processor's name; empty where the system does not say it."""
    return " ".join(_line_of(("model name",), path) or ())


def said_limit(environment: Mapping[str, str] = os.environ) -> str:
    """What a variable of the environment hides from oneDNN, as an addition.

    Examples:
        >>> said_limit({"ONEDNN_MAX_CPU_ISA": "SSE41"})
        ', of which ONEDNN_MAX_CPU_ISA=SSE41 hides instructions (unset it)'
        >>> said_limit({})
        ''
    """
    limit = environment.get("ONEDNN_MAX_CPU_ISA")
    if not limit:
        return ""
    return f", of which ONEDNN_MAX_CPU_ISA={limit} hides instructions (unset it)"


def _words_of(names: tuple[str, ...], path: str | Path) -> frozenset[str] | None:
    words = _line_of(names, path)
    return None if words is None else frozenset(words)


def _line_of(names: tuple[str, ...], path: str | Path) -> list[str] | None:
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in names:
            return value.split()
    return None
