r"""Feature distillation: the teacher's feature maps, or where they are large.

``kind='hint'``: Romero et al., FitNets: Hints for Thin Deep Nets, ICLR 2015.
https://arxiv.org/abs/1412.6550
``kind='attention'``: Zagoruyko, Komodakis, Paying More Attention to Attention, ICLR
2017. https://arxiv.org/abs/1612.03928

Loss: the sum over the tapped stages of
:func:`cmim.functional.distillation.hint_distance` or
:func:`cmim.functional.distillation.attention_distance`.

Surprises: FitNets trains on the hint first and on the labels afterwards; here both
losses are trained at once, as later papers compare it. Where a teacher of another
family has other channels, hints compare a learned 1x1 convolution of the student's map,
as FitNets does; neither RepDistiller's batch-norm nor its ReLU stands behind it, since
a stage may have values below zero. Weights of RepDistiller: 100 for the hint of one
stage, 1000 for attention.

Checked: against ``HintLoss`` and ``Attention`` of github.com/HobbitLong/RepDistiller,
commit b84f547, with maps of equal and of half the size: losses and gradients equal in
float64 and float32.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from cmim.added_losses.added_loss import AddedLoss
from cmim.contrast.taps import Tap
from cmim.functional.distillation import attention_distance, hint_distance
from cmim.stages import stage_names

DISTANCES = {"attention": attention_distance, "hint": hint_distance}
#: Weights in RepDistiller's published comparison.
WEIGHTS = {"attention": 1000.0, "hint": 100.0}


@MODELS.register_module()
class FeatureDistillationLoss(AddedLoss):
    """Squared differences of the encoder's stages, or of their attention.

    Args:
        weight: >= 0. Default 100 for hints, 1000 for attention.
        kind: ``'hint'`` or ``'attention'``.
        taps: Glob patterns of modules, or the teacher's modules by the student's. When
            None the encoder's last stage for hints, all stages for attention.

    Attributes:
        regressors: Of hints, by module: what maps its channels to those of its partner,
            where these are others.

    Raises:
        ValueError: Another kind, or no stage to tap.
    """

    name = "feature_distillation"
    needs_teacher = True

    def __init__(
        self,
        weight: float | None = None,
        kind: str = "hint",
        taps: str | Sequence[str] | Mapping[str, str] | None = None,
    ) -> None:
        if kind not in DISTANCES:
            raise ValueError(
                f"added loss {self.name!r} has no kind {kind!r}; choose from "
                f"{', '.join(DISTANCES)}"
            )
        super().__init__(WEIGHTS[kind] if weight is None else weight, taps)
        self.kind = kind
        self.regressors = nn.ModuleDict()

    def default_taps(self, model: nn.Module) -> list[str]:
        names = stage_names(model)
        if not names:
            raise ValueError(
                f"added loss {self.name!r} found no stages of the encoder; name "
                "modules in its taps"
            )
        return names if self.kind == "attention" else names[-1:]

    def bridge(self, own: Mapping[str, int], theirs: Mapping[str, int]) -> None:
        for name in self.names if self.kind == "hint" else ():
            if name in theirs and own[name] != theirs[name]:
                self.regressors[_key(name)] = nn.Conv2d(own[name], theirs[name], 1)

    def forward(
        self, student: Mapping[str, Tap], teacher: Mapping[str, Tensor]
    ) -> Tensor:
        distance = DISTANCES[self.kind]
        names = self.reached(student)
        with torch.autocast(student[names[0]].binary.device.type, enabled=False):
            losses = [distance(self._mapped(student, n), teacher[n]) for n in names]
            return self.weight * torch.stack(losses).sum()

    def _mapped(self, student: Mapping[str, Tap], name: str) -> Tensor:
        """The student's map, in the channels of its partner."""
        feature = student[name].binary
        if _key(name) not in self.regressors:
            return feature
        regressor = self.regressors[_key(name)]
        mapped: Tensor = regressor(feature.to(next(regressor.parameters()).dtype))
        return mapped


def _key(name: str) -> str:
    """Names of modules in a dictionary of modules have no dots."""
    return name.replace(".", "-")


ADDED_LOSS = FeatureDistillationLoss
