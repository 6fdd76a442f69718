r"""ReActNet's distributional loss: the class distribution of the full-precision twin.

Liu, Shen, Savvides, Cheng, ReActNet: Towards Precise Binary Neural Network with
Generalized Activation Functions, ECCV 2020. https://arxiv.org/abs/2003.03488

Loss: see :func:`cmim.functional.soft_cross_entropy.soft_cross_entropy`; for dense tasks
the mean over all pixels of the head's own resolution, unlabelled ones too.

Surprises: the paper trains with this loss alone, without labels:
``model.task_loss_weight=0`` on the wrapper. Its teacher is a larger network
(ResNet-34); here it is the twin.

Checked: against ``DistributionLoss`` of github.com/liuzechun/ReActNet, commit a6cd08d:
loss and gradient equal in float64 and float32.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from cmim.contrast.taps import Tap
from cmim.functional.soft_cross_entropy import soft_cross_entropy
from cmim.regularizers.regularizer import Regularizer

# Classification, segmentation, segmentation beside other tasks.
LOGITS = ("head.fc", "decode_head.conv_seg", "heads.seg.conv_seg")


@MODELS.register_module()
class DistributionalLoss(Regularizer):
    """ReActNet's loss on the logits of student and teacher.

    Args:
        weight: >= 0. Default 1.
        taps: Name of the module that gives the logits, ``(N, K)`` or ``(N, K, h, w)``;
            the first of ``LOGITS`` that there is when None.

    Raises:
        ValueError: No such module, several, or one without classes (depth).
    """

    name = "distributional"
    needs_teacher = True

    def __init__(
        self, weight: float = 1.0, taps: str | Sequence[str] | None = None
    ) -> None:
        super().__init__(weight, taps)

    def attach(self, model: nn.Module) -> None:
        super().attach(model)
        if len(self.names) != 1:
            raise ValueError(
                f"regularizer {self.name!r} taps the one module that gives the logits, "
                f"and {len(self.names)} fit: {', '.join(self.names)}"
            )
        module = model.get_submodule(self.names[0])
        classes = getattr(module, "out_channels", getattr(module, "out_features", 2))
        if classes < 2:
            raise ValueError(
                f"regularizer {self.name!r} compares class distributions, and "
                f"'{self.names[0]}' has {classes} output, no classes: it is of no use "
                "for depth; leave it out"
            )

    def default_taps(self, model: nn.Module) -> list[str]:
        modules = dict(model.named_modules())
        found = [name for name in LOGITS if name in modules]
        if not found:
            raise ValueError(
                f"regularizer {self.name!r} found no logits: the model has neither "
                f"{' nor '.join(LOGITS)}; name the module in its taps"
            )
        return found[:1]

    def forward(
        self, student: Mapping[str, Tap], teacher: Mapping[str, Tensor]
    ) -> Tensor:
        (name,) = self.names
        logits = student[name].binary
        with torch.autocast(logits.device.type, enabled=False):
            return self.weight * soft_cross_entropy(logits, teacher[name])
