"""Where runs are computed: one engine a file, a module with ``ENGINE``."""

from __future__ import annotations

from typing import Any

from cmim.naming import factories, make_named
from cmim.suite.engines.engine import Engine


def available_engines() -> list[str]:
    """Names of all engines, in alphabetical order.

    Examples:
        >>> available_engines()
        ['local', 'ray', 'slurm']
    """
    return sorted(factories("cmim.suite.engines", "ENGINE"))


def make_engine(entry: str | dict[str, Any]) -> Engine:
    """The engine of a name, or of ``dict(name=..., **options)``.

    Raises:
        ValueError: Unknown name or option.
    """
    return make_named("engine", factories("cmim.suite.engines", "ENGINE"), entry)
