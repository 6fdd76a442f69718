"""The full-precision twin of a task model: baseline and teacher."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmseg.registry import MODELS

from cmim.checkpoint import load_task_weights
from cmim.identity import identity_of
from cmim.models.teacher import Teacher
from cmim.models.teacher_cache import FeatureCache
from cmim.models.teacher_view import TeacherView, pictures_of, teacher_normalisation


def full_precision_twin(model: dict) -> dict:
    """Config of the same task model in full precision, every head included.

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
    # Those too that answer nothing: auxiliary ones, and the first of a cascade.
    alone = (twin.get(name) for name in ("decode_head", "head", "auxiliary_head"))
    for heads in (*alone, [*(twin.get("heads") or {}).values()]):
        for head in heads if isinstance(heads, (list, tuple)) else [heads]:
            if head and "method" in head:
                head["method"] = "fp"
    return twin


def load_teacher(
    model: dict,
    checkpoint: str | None,
    needed_by: str = "partner 'teacher'",
    teacher_model: dict | None = None,
    view: TeacherView | None = None,
    cache: FeatureCache | None = None,
) -> Teacher:
    """Build the teacher and load its trained weights, frozen and in evaluation mode.

    Args:
        model: Config of the student's task model.
        checkpoint: Checkpoint of the teacher, trained by its own config; for a
            classifier that is torchvision's ResNet also torchvision's state dict.
        needed_by: What asks for it, for the message.
        teacher_model: Config of the teacher's task model; the student's full-precision
            twin when None.
        view: At which resolution it sees the pictures. Its normalisation is found in
            the two configs.
        cache: Where its features are kept.

    Raises:
        ValueError: No checkpoint was named, it belongs to another model, or the teacher
            was trained on pictures normalised otherwise than its config says (the
            student's, where ``teacher_model`` does not say it).
        FileNotFoundError: The named checkpoint does not exist.
    """
    if not checkpoint:
        raise ValueError(
            f"{needed_by} needs the trained full-precision twin: set "
            "model.teacher=CHECKPOINT, or use model.partner=latent and no added loss "
            "that reads the twin"
        )
    if not Path(checkpoint).is_file():
        first = (
            "save the weights of the network that model.teacher_model describes first"
            if teacher_model
            else "train the full-precision twin first (its config has 'fp' in place of "
            "the method's name)"
        )
        raise FileNotFoundError(
            f"teacher checkpoint '{checkpoint}' does not exist; {first}, or do without "
            f"{needed_by}"
        )
    normalisation = teacher_normalisation(model, teacher_model or model)
    pictures = pictures_of(teacher_model) if teacher_model and normalisation else None
    network = MODELS.build(teacher_model or full_precision_twin(model))
    saved = load_task_weights(network, checkpoint).get("identity")
    network.eval().requires_grad_(False)
    teacher = Teacher(
        network,
        checkpoint,
        saved,
        pictures=pictures,
        twin=teacher_model is None,
        view=replace(view or TeacherView(), normalisation=normalisation),
        cache=cache,
    )
    teacher.check(model_identity(model))
    return teacher


def model_identity(model: dict) -> dict[str, Any]:
    """Identity of a task model's config, which does not know the data's classes."""
    found = identity_of(dict(model=model))
    found.pop("classes")
    return found
