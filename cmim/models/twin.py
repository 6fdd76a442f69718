"""The full-precision twin of a task model: baseline and teacher."""

from __future__ import annotations

import copy
from pathlib import Path

from mmseg.registry import MODELS
from torch import nn

from cmim.checkpoint import load_task_weights


def full_precision_twin(model: dict) -> dict:
    """Config of the same task model in full precision, head included.

    Args:
        model: Config of a task model with a ``backbone`` that takes ``method``.

    Returns:
        A deep copy with ``backbone.method = 'fp'``.

    Examples:
        >>> full_precision_twin({"backbone": {"method": "bireal", "depth": 18}})
        {'backbone': {'method': 'fp', 'depth': 18}}
    """
    twin = copy.deepcopy(model)
    twin["backbone"]["method"] = "fp"
    if "method" in twin.get("decode_head", {}):
        twin["decode_head"]["method"] = "fp"
    return twin


def load_teacher(model: dict, checkpoint: str | None) -> nn.Module:
    """Build the twin and load its trained weights, frozen and in evaluation mode.

    Args:
        model: Config of the student's task model.
        checkpoint: Checkpoint of the twin, trained by its own config.

    Raises:
        ValueError: No checkpoint was named, or it belongs to another model.
        FileNotFoundError: The named checkpoint does not exist.
    """
    if not checkpoint:
        raise ValueError(
            "partner 'teacher' needs the trained full-precision twin: set "
            "model.teacher=CHECKPOINT, or use model.partner=latent"
        )
    if not Path(checkpoint).is_file():
        raise FileNotFoundError(
            f"teacher checkpoint '{checkpoint}' does not exist; train the "
            "full-precision twin first (its config has 'fp' in place of the method's "
            "name), or use model.partner=latent"
        )
    teacher = MODELS.build(full_precision_twin(model))
    load_task_weights(teacher, checkpoint)
    return teacher.eval().requires_grad_(False)
