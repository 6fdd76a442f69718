"""Reading checkpoints safely: tensors only, whole files only, the right model only.

A checkpoint is a ``torch.save`` file with ``state_dict`` (the task model's weights,
named the same with and without the CMIM wrapper, plus the loss state under
``contrast.``) and, for resuming, ``optimizer``, ``param_schedulers``, ``message_hub``
and ``meta``.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

CONTRAST_PREFIX = "contrast."


class CheckpointError(ValueError):
    """A checkpoint that is missing, damaged, unsafe or of another model."""


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU without executing anything in it.

    Args:
        path: File saved by training, or a bare state dict.

    Returns:
        Dictionary with at least ``state_dict``.

    Raises:
        CheckpointError: No such file, a half-written or foreign file, or one that
            holds more than tensors and plain values.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(
            f"checkpoint '{path}' does not exist; training writes it as "
            "WORK_DIR/last.pth"
        )
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # torch's own text advises to switch the protection off: not quoted.
        raise CheckpointError(
            f"checkpoint '{path}' is not a plain checkpoint of tensors; only files "
            "that load with torch.load(weights_only=True) are accepted"
        ) from error
    except Exception as error:
        # The unpickler fails in any way where a damaged stream happens to lead it.
        raise CheckpointError(
            f"checkpoint '{path}' is damaged or half-written; use another copy or "
            "train again"
        ) from error
    if not isinstance(checkpoint, dict):
        raise CheckpointError(
            f"checkpoint '{path}' holds a {type(checkpoint).__name__}, expected a "
            "dictionary with 'state_dict'"
        )
    if "state_dict" not in checkpoint:
        checkpoint = {"state_dict": checkpoint}
    state = checkpoint["state_dict"]
    if not isinstance(state, dict) or not all(
        isinstance(key, str) and isinstance(value, Tensor)
        for key, value in state.items()
    ):
        raise CheckpointError(
            f"checkpoint '{path}' has no state dict, a dictionary of named tensors; "
            "save model.state_dict()"
        )
    return checkpoint


def load_task_weights(model: nn.Module, path: str | Path) -> dict[str, Any]:
    """Load the task model's weights strictly; the state of the loss is left out.

    Args:
        model: A task model without the CMIM wrapper.
        path: Checkpoint trained with or without the wrapper.

    Returns:
        The whole checkpoint, for its ``meta``.

    Raises:
        CheckpointError: The file cannot be read or is of another model.
    """
    checkpoint = read_checkpoint(path)
    state = {
        key: value
        for key, value in checkpoint["state_dict"].items()
        if not key.startswith(CONTRAST_PREFIX)
    }
    load_strictly(model, state, path)
    return checkpoint


def load_strictly(model: nn.Module, state: dict[str, Tensor], path: str | Path) -> None:
    """``load_state_dict`` that says in one sentence how two models differ.

    Args:
        model: Module to fill.
        state: Its state dict.
        path: Where the state comes from, for the message.

    Raises:
        CheckpointError: Missing or unexpected names, or other shapes.

    Examples:
        >>> load_strictly(nn.Linear(2, 1), {"weight": torch.zeros(1, 3)}, "a.pth")
        Traceback (most recent call last):
        cmim.checkpoint.CheckpointError: checkpoint 'a.pth' is of another model: ...
    """
    own = model.state_dict()
    missing = [key for key in own if key not in state]
    unexpected = [key for key in state if key not in own]
    other = [k for k, v in own.items() if k in state and state[k].shape != v.shape]
    if missing or unexpected or other:
        found = []
        for what, keys in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("of another shape", other),
        ):
            if keys:
                found.append(f"{len(keys)} {what} (first '{keys[0]}')")
        raise CheckpointError(
            f"checkpoint '{path}' is of another model: {', '.join(found)}; use the "
            "config it was trained with"
        )
    model.load_state_dict(state)
