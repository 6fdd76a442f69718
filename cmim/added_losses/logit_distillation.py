r"""Knowledge distillation: the teacher's softened class distribution.

Hinton, Vinyals, Dean, Distilling the Knowledge in a Neural Network, 2015.
https://arxiv.org/abs/1503.02531

Loss: see :func:`cmim.functional.distillation.softened_divergence`; for dense tasks the
mean over all pixels of the head's own resolution, unlabelled ones too. The paper's
``(1 - l) CE + l T^2 KL`` is ``model.task_loss_weight=1-l`` and ``weight=l``.

Surprises: the divergence has the factor T^2 inside. At T = 1 its gradient is that of
:class:`cmim.added_losses.DistributionalLoss`, which is larger by the teacher's entropy.

Checked: against ``DistillKL`` of github.com/HobbitLong/RepDistiller, commit b84f547,
at T = 4: gradients equal, losses at most 8.9e-15 apart in float64 (of 8.3), 8.6e-6 in
float32.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from mmseg.registry import MODELS
from torch import Tensor

from cmim.added_losses.class_logits import ClassLogits
from cmim.contrast.taps import Tap
from cmim.functional.distillation import softened_divergence


@MODELS.register_module()
class LogitDistillationLoss(ClassLogits):
    """Hinton's loss on the logits of student and teacher.

    Args:
        weight: >= 0. Default 0.9, RepDistiller's beside ``task_loss_weight=0.1``.
        temperature: T > 0. Default 4.
        taps: As in :class:`cmim.added_losses.DistributionalLoss`.

    Raises:
        ValueError: A temperature that is not positive; no logits, several, or one
            without classes (depth).
    """

    name = "logit_distillation"

    def __init__(
        self,
        weight: float = 0.9,
        temperature: float = 4.0,
        taps: str | Sequence[str] | Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(weight, taps)
        if not temperature > 0:
            raise ValueError(f"temperature must be positive, got {temperature}")
        self.temperature = temperature

    def forward(
        self, student: Mapping[str, Tap], teacher: Mapping[str, Tensor]
    ) -> Tensor:
        ours, theirs = self.logits(student, teacher)
        with torch.autocast(ours.device.type, enabled=False):
            loss = softened_divergence(ours, theirs, self.temperature)
            return self.weight * loss


ADDED_LOSS = LogitDistillationLoss
