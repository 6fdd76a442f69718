r"""Real-to-Binary's attention matching: the student looks where the teacher does.

Martinez, Yang, Bulat, Tzimiropoulos, Training Binary Neural Networks with
Real-to-Binary Convolutions, ICLR 2020, Section 4.2. https://arxiv.org/abs/2003.11535

Loss: the mean over the tapped modules of
:func:`cmim.functional.distillation.attention_matching_distance`: squared activations,
averaged over channels, divided by their maximum.

Surprises: by default the encoder's stages are matched; larq's code matches the end of
each residual block, which is ``taps='backbone.layer?.?'`` in a ResNet. Zagoruyko's
attention (``feature_distillation`` with ``kind='attention'``) divides by the
Euclidean norm instead. :mod:`cmim.methods.real_to_binary` says in which of the paper's
steps the loss is used, and with which teacher.

Checked: the authors' code was never released; against ``AttentionMatchingLossLayer`` of
github.com/larq/zoo, commit 77c5853, to which they point, run in TensorFlow: losses
equal in float64, gradients at most 1.4e-17 apart (of 1.6e-2); in float32 losses 7.5e-9
(of 8.1e-2). Maps of zeros are NaN there, 0 here. Its weight, 30 beside the labels, is
the default; the normalisation in the paper's text was not read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from cmim.added_losses.added_loss import AddedLoss
from cmim.contrast.taps import Tap
from cmim.functional.distillation import attention_matching_distance
from cmim.stages import stage_names


@MODELS.register_module()
class AttentionMatchingLoss(AddedLoss):
    """Squared differences of attention maps with a maximum of 1.

    Args:
        weight: >= 0.
        taps: Glob patterns of modules whose outputs ``(N, C, H, W)`` are matched; the
            encoder's stages when None.

    Raises:
        ValueError: No stage to tap.
    """

    name = "attention_matching"
    needs_teacher = True

    def __init__(
        self, weight: float = 30.0, taps: str | Sequence[str] | None = None
    ) -> None:
        super().__init__(weight, taps)

    def default_taps(self, model: nn.Module) -> list[str]:
        names = stage_names(model)
        if not names:
            raise ValueError(
                f"added loss {self.name!r} found no stages of the encoder; name "
                "modules in its taps"
            )
        return names

    def forward(
        self, student: Mapping[str, Tap], teacher: Mapping[str, Tensor]
    ) -> Tensor:
        names = self.reached(student)
        with torch.autocast(student[names[0]].binary.device.type, enabled=False):
            losses = [
                attention_matching_distance(student[n].binary, teacher[n])
                for n in names
            ]
            return self.weight * torch.stack(losses).mean()


ADDED_LOSS = AttentionMatchingLoss
