r"""Feature distillation: the teacher's feature maps, or where they are large.

``kind='hint'``: Romero et al., FitNets: Hints for Thin Deep Nets, ICLR 2015.
https://arxiv.org/abs/1412.6550
``kind='attention'``: Zagoruyko, Komodakis, Paying More Attention to Attention, ICLR
2017. https://arxiv.org/abs/1612.03928

Loss: the sum over the tapped stages of
:func:`cmim.functional.distillation.hint_distance` or
:func:`cmim.functional.distillation.attention_distance`.

Surprises: FitNets trains on the hint first and on the labels afterwards, with a learned
convolution where channels differ; here both losses are trained at once, as later papers
compare it, and a twin has the student's channels. Weights of RepDistiller: 100 for the
hint of one stage, 1000 for attention.

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
        taps: Glob patterns of modules. When None the encoder's last stage for hints,
            all stages for attention.

    Raises:
        ValueError: Another kind, or no stage to tap.
    """

    name = "feature_distillation"
    needs_teacher = True

    def __init__(
        self,
        weight: float | None = None,
        kind: str = "hint",
        taps: str | Sequence[str] | None = None,
    ) -> None:
        if kind not in DISTANCES:
            raise ValueError(
                f"added loss {self.name!r} has no kind {kind!r}; choose from "
                f"{', '.join(DISTANCES)}"
            )
        super().__init__(WEIGHTS[kind] if weight is None else weight, taps)
        self.kind = kind

    def default_taps(self, model: nn.Module) -> list[str]:
        names = stage_names(model)
        if not names:
            raise ValueError(
                f"added loss {self.name!r} found no stages of the encoder; name "
                "modules in its taps"
            )
        return names if self.kind == "attention" else names[-1:]

    def forward(
        self, student: Mapping[str, Tap], teacher: Mapping[str, Tensor]
    ) -> Tensor:
        distance = DISTANCES[self.kind]
        names = self.reached(student)
        with torch.autocast(student[names[0]].binary.device.type, enabled=False):
            losses = [distance(student[n].binary, teacher[n]) for n in names]
            return self.weight * torch.stack(losses).sum()


ADDED_LOSS = FeatureDistillationLoss
