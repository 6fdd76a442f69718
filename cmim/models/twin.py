"""The full-precision twin of a task model: baseline and teacher."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.model import BaseModel
from mmseg.registry import MODELS
from torch import Tensor

from cmim.checkpoint import load_task_weights
from cmim.contrast import ActivationTaps
from cmim.contrast.taps import tokens_as_maps
from cmim.identity import check_identity, identity_of, part_read
from cmim.stages import ENCODER
from cmim.task_model import describe

_ADVICE = (
    "train a teacher for this config, or give the config the teacher's "
    "(model.model.data_preprocessor, classes, depth_range)"
)


@dataclass
class Teacher:
    """A trained network beside the one in training.

    No module, so that its weights are neither trained nor saved with a model that
    holds it.

    Attributes:
        network: The task model, frozen and in evaluation mode.
        path: Its checkpoint.
        identity: What the checkpoint says of it, see :mod:`cmim.identity`.
        taps: What is read of it.
    """

    network: BaseModel
    path: str
    identity: dict[str, Any] | None
    taps: ActivationTaps

    def tap(self, names: Sequence[str]) -> None:
        """Choose the modules that are read."""
        self.taps = ActivationTaps(self.network, names)

    def check(self, own: dict[str, Any]) -> None:
        """Refuse it if its pictures, or its heads that are read, mean others.

        Features have no classes: a teacher of them may have learned another task.

        Args:
            own: :func:`cmim.identity.identity_of` the student's config, or
                :func:`model_identity`.

        Raises:
            ValueError: Naming the first difference.
        """
        names = self.taps.names
        theirs = None if self.identity is None else part_read(self.identity, names)
        check_identity(part_read(own, names), theirs, self.path, _ADVICE)

    def features(self, inputs: Tensor) -> dict[str, Tensor]:
        """What the tapped modules give, without a gradient.

        Args:
            inputs: ``(N, C, H, W)``, normalised.
        """
        image = (inputs.shape[2], inputs.shape[3])
        with torch.inference_mode():
            outputs = tapped_outputs(self.network, self.taps, inputs)
        # A backward pass can save copies made out here, but not the outputs themselves.
        return {
            name: tokens_as_maps(output.clone(), image)
            for name, output in outputs.items()
        }


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
) -> Teacher:
    """Build the teacher and load its trained weights, frozen and in evaluation mode.

    Args:
        model: Config of the student's task model.
        checkpoint: Checkpoint of the teacher, trained by its own config; for a
            classifier that is torchvision's ResNet also torchvision's state dict.
        needed_by: What asks for it, for the message.
        teacher_model: Config of the teacher's task model; the student's full-precision
            twin when None.

    Raises:
        ValueError: No checkpoint was named, it belongs to another model, or the teacher
            was trained on pictures normalised otherwise, as its config or its
            checkpoint says.
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
    _check_normalisation(model, teacher_model or model)
    network = MODELS.build(teacher_model or full_precision_twin(model))
    saved = load_task_weights(network, checkpoint).get("identity")
    network.eval().requires_grad_(False)
    teacher = Teacher(network, checkpoint, saved, ActivationTaps(network, ()))
    teacher.check(model_identity(model))
    return teacher


def model_identity(model: dict) -> dict[str, Any]:
    """Identity of a task model's config, which does not know the data's classes."""
    found = identity_of(dict(model=model))
    found.pop("classes")
    return found


def _check_normalisation(model: dict, teacher_model: dict) -> None:
    """Refuse a teacher that would see pictures of another mean or deviation.

    Student and teacher read the same tensor, which the student's preprocessor made.
    """
    ours, theirs = (describe(m).normalisation for m in (model, teacher_model))
    for key in ("mean", "std"):
        own, other = (config.get(key) for config in (ours, theirs))
        if own and other and own != other:
            raise ValueError(
                f"the teacher's pictures are normalised by {key} {other} and the "
                f"student's, which both read, by {own}: set "
                "model.model.data_preprocessor to the teacher's"
            )


@torch.no_grad()
def tapped_outputs(
    teacher: BaseModel, taps: ActivationTaps, inputs: Tensor
) -> dict[str, Tensor]:
    """What the tapped modules give in one pass, which skips the head if it can.

    Args:
        teacher: A task model.
        taps: Taps on it.
        inputs: ``(N, 3, H, W)``, normalised.
    """
    with taps.recording() as seen:
        if all(name.startswith(f"{ENCODER}.") for name in taps.names):
            teacher.extract_feat(inputs)
        else:
            teacher(inputs, mode="tensor")
    return {name: tap.binary for name, tap in seen.items()}
