"""A trained network beside the one in training, and what is read of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from cmim.contrast import ActivationTaps
from cmim.contrast.taps import Tap, tokens_as_maps
from cmim.functional.alignment import resize_features
from cmim.functional.layout import channels_of
from cmim.identity import check_identity, part_read
from cmim.models.teacher_cache import FeatureCache
from cmim.models.teacher_pairs import Pairs, pair_modules
from cmim.models.teacher_view import TeacherView
from cmim.stages import ENCODER, probe_image

_ADVICE = (
    "train a teacher for this config, or give the config the teacher's "
    "(model.model.data_preprocessor, classes, depth_range), or its pictures alone by "
    "model.teacher_model.data_preprocessor"
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
        pictures: What its pictures are, where its config says others than the
            student's.
        twin: Whether it is the student's twin, whose modules have its channels.
        view: What is done to the student's pictures.
        cache: Features of pictures that it has seen, or None.
        pairs: Its modules by the student's names.
    """

    network: BaseModel
    path: str
    identity: dict[str, Any] | None
    pictures: dict[str, Any] | None = None
    twin: bool = True
    view: TeacherView = field(default_factory=TeacherView)
    cache: FeatureCache | None = None
    pairs: Pairs = field(default_factory=lambda: Pairs({}))

    def __post_init__(self) -> None:
        self._taps = ActivationTaps(self.network, ())

    def tap(
        self, student: nn.Module, names: Sequence[str], named: Mapping[str, str]
    ) -> None:
        """Choose the modules that are read, see :func:`pair_modules`."""
        self.pairs = pair_modules(student, self.network, names, named)
        self._taps = ActivationTaps(self.network, list(self.pairs.partners.values()))

    @property
    def may_differ(self) -> bool:
        """Whether what is read may have other channels than the student's modules."""
        return not self.twin or bool(self.pairs.foreign)

    def within_encoders(self, names: Iterable[str]) -> list[str]:
        """Those names of the student that lie in its encoder, as do their partners."""
        prefix = f"{ENCODER}."
        return sorted(
            name
            for name in names
            if name.startswith(prefix) and self.pairs.partners[name].startswith(prefix)
        )

    def forget(self) -> None:
        """Forget kept features, as they lie elsewhere or are of another type."""
        if self.cache is not None:
            self.cache.clear()

    def check(self, own: dict[str, Any]) -> None:
        """Refuse it if its pictures, or its heads that are read, mean others.

        Features have no classes: a teacher of them may have learned another task.

        Args:
            own: :func:`cmim.identity.identity_of` the student's config, or
                :func:`cmim.models.twin.model_identity`.

        Raises:
            ValueError: Naming the first difference.
        """
        partners = self.pairs.partners
        theirs = (
            None
            if self.identity is None
            else part_read(self.identity, partners.values())
        )
        if self.pictures is not None:
            own = {**own, "pictures": self.pictures}
        check_identity(part_read(own, partners), theirs, self.path, _ADVICE)

    def channels(self, names: Sequence[str]) -> dict[str, int]:
        """Channels of the partners of these modules of the student, by their names.

        Raises:
            ValueError: A partner that does not run.
        """
        partners = {name: self.pairs.partners[name] for name in names}
        taps = ActivationTaps(self.network, list(partners.values()))
        found = tap_channels(self.network, taps)
        idle = [name for name in names if partners[name] not in found]
        if idle:
            raise ValueError(
                f"the teacher does not run '{partners[idle[0]]}', the partner of "
                f"'{idle[0]}': pair it with a module that its heads read"
            )
        return {name: found[partner] for name, partner in partners.items()}

    def features(
        self, inputs: Tensor, student: Mapping[str, Tap] | None = None
    ) -> dict[str, Tensor]:
        """What the tapped modules give, by the student's names, without a gradient.

        Maps of modules of other names, and of pictures of another size, are brought to
        the grid of the student's (:func:`cmim.functional.alignment.resize_features`).

        Args:
            inputs: ``(N, C, H, W)``, normalised for the student.
            student: What the student's modules saw, whose grids are taken.
        """
        with torch.inference_mode():
            if self.cache is None:
                outputs = self._outputs(inputs)
            else:
                outputs = self.cache(inputs, self._outputs)
        features = {}
        for own, other in self.pairs.partners.items():
            if other not in outputs:
                continue
            # A backward pass can save copies made out here, but not the outputs
            # themselves.
            maps = outputs[other].clone()
            tap = (student or {}).get(own)
            if tap is not None and (self.view.resized or own in self.pairs.foreign):
                maps = _on_grid_of(maps, tap.binary)
            features[own] = maps
        return features

    def _outputs(self, inputs: Tensor) -> dict[str, Tensor]:
        """What the modules give for pictures of the student, tokens as maps."""
        pictures = self.view(inputs)
        image = (pictures.shape[2], pictures.shape[3])
        outputs = tapped_outputs(self.network, self._taps, pictures)
        return {name: tokens_as_maps(x, image) for name, x in outputs.items()}


def _on_grid_of(maps: Tensor, own: Tensor) -> Tensor:
    if maps.dim() != 4 or own.dim() != 4:
        return maps
    return resize_features(maps, (own.shape[2], own.shape[3]))


def tap_channels(model: BaseModel, taps: ActivationTaps) -> dict[str, int]:
    """Channels at each tap that runs, seen in one pass of a small picture."""
    if not taps.names:
        return {}
    training = model.training
    seen = tapped_outputs(model.eval(), taps, probe_image(model))
    model.train(training)
    return {name: channels_of(output) for name, output in seen.items()}


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
