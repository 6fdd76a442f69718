"""Names in a state dict: the task model's are those without the wrapper."""

from __future__ import annotations

from typing import Any

from torch import nn

from cmim.checkpoint import LOSS_PREFIXES
from cmim.former_names import current_key


def unwrap_names(module: nn.Module, state: dict, prefix: str, metadata: dict) -> None:
    """A hook behind ``state_dict``: the task model's weights without ``model.``."""
    inner = f"{prefix}model."
    for key in [k for k in state if k.startswith(inner)]:
        state[prefix + key[len(inner) :]] = state.pop(key)


def wrap_names(module: nn.Module, state: dict, prefix: str, *unused: Any) -> None:
    """A hook in front of ``load_state_dict``: back again, former names too."""
    for key in [k for k in state if k.startswith(prefix)]:
        name = current_key(key[len(prefix) :])
        if not name.startswith(LOSS_PREFIXES):
            name = f"model.{name}"
        state[prefix + name] = state.pop(key)
