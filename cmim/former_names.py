"""Names of earlier versions, which files of theirs hold."""

from __future__ import annotations

from typing import Any

FORMER = {"regularizers": "added_losses"}


def current_key(key: str) -> str:
    """A name in a state dict as it is today.

    Args:
        key: As saved by this or an earlier version.

    Examples:
        >>> current_key("regularizers.lipschitz.scale")
        'added_losses.lipschitz.scale'
        >>> current_key("module.regularizers.lipschitz.scale")
        'module.added_losses.lipschitz.scale'
    """
    # Averages of weights are those of a module of this name.
    outer = "module." if key.startswith("module.") else ""
    first, dot, rest = key[len(outer) :].partition(".")
    return outer + FORMER.get(first, first) + dot + rest


def with_current_options(model: Any) -> Any:
    """Options of a wrapper's config as they are called today; anything else as it is.

    Examples:
        >>> with_current_options(dict(type="CMIM", regularizers="lckd"))
        {'type': 'CMIM', 'added_losses': 'lckd'}
    """
    if not isinstance(model, dict):
        return model
    return {FORMER.get(name, name): value for name, value in model.items()}
