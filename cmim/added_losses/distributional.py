r"""ReActNet's distributional loss: the class distribution of the full-precision twin.

Liu, Shen, Savvides, Cheng, ReActNet: Towards Precise Binary Neural Network with
Generalized Activation Functions, ECCV 2020. https://arxiv.org/abs/2003.03488

Loss: see :func:`cmim.functional.soft_cross_entropy.soft_cross_entropy`; for dense tasks
the mean over all pixels of the head's own resolution, unlabelled ones too.

Surprises: the paper trains with this loss alone, without labels:
``model.task_loss_weight=0`` on the wrapper. Its teacher is a larger network,
torchvision's ResNet-34 (``model.teacher_model``); the twin where none is named.

Checked: against ``DistributionLoss`` of github.com/liuzechun/ReActNet, commit a6cd08d:
loss and gradient equal in float64 and float32.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from mmseg.registry import MODELS
from torch import Tensor

from cmim.added_losses.class_logits import ClassLogits
from cmim.contrast.taps import Tap
from cmim.functional.soft_cross_entropy import soft_cross_entropy


@MODELS.register_module()
class DistributionalLoss(ClassLogits):
    """ReActNet's loss on the logits of student and teacher.

    Args:
        weight: >= 0. Default 1.
        taps: Name of the module that gives the logits, ``(N, K)`` or ``(N, K, h, w)``;
            see :class:`ClassLogits` when None.

    Raises:
        ValueError: No such module, several, or one without classes (depth).
    """

    name = "distributional"

    def __init__(
        self,
        weight: float = 1.0,
        taps: str | Sequence[str] | Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(weight, taps)

    def forward(
        self, student: Mapping[str, Tap], teacher: Mapping[str, Tensor]
    ) -> Tensor:
        ours, theirs = self.logits(student, teacher)
        with torch.autocast(ours.device.type, enabled=False):
            return self.weight * soft_cross_entropy(ours, theirs)


ADDED_LOSS = DistributionalLoss
