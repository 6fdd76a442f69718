r"""RAD: activations spread around zero in front of every sign.

Ding, Chin, Liu, Marculescu, Regularizing Activation Distribution for Training Binarized
Deep Networks, CVPR 2019. https://arxiv.org/abs/1904.02823

Loss: see :func:`cmim.functional.spread.activation_spread`; the mean over the
activation binarizers, times 2.

Surprises: the released run takes the loss away for the last 5 of 65 epochs, at learning
rates of 1e-6 and 0; here it stays. Statistics are of the batch of one process.

Checked: against ``Distrloss_layer`` of github.com/ruizhoud/DistributionLoss, commit
9b6eafc, and its mean over layers and weight 2 as in its AlexNet run, on five layers
with a constant channel each: equal in float64, gradients at most 4.3e-19 apart (of
values up to 2.1e-3); 4.8e-7 and 9.3e-10 in float32.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from cmim.added_losses.added_loss import AddedLoss
from cmim.contrast import binarizer_names
from cmim.contrast.taps import Tap
from cmim.functional.spread import activation_spread


@MODELS.register_module()
class ActivationSpreadLoss(AddedLoss):
    """RAD's distribution loss on the inputs of activation binarizers.

    Args:
        weight: >= 0. Default 2, as in the released ImageNet run.
        taps: Glob patterns of activation binarizers; all of them when None.

    Raises:
        ValueError: No activation binarizer there.

    Examples:
        >>> from cmim.methods import get_method
        >>> loss = ActivationSpreadLoss()
        >>> loss.attach(nn.Sequential(get_method("bireal").activation(1)))
        >>> x = torch.full((2, 1, 3, 3), 3.0)  # one-sided: mean^2 - deviation^2 = 9
        >>> loss({"0": Tap(x, x)}, {}).item()
        18.0
    """

    name = "activation_spread"

    def __init__(
        self, weight: float = 2.0, taps: str | Sequence[str] | None = None
    ) -> None:
        super().__init__(weight, taps)

    def attach(self, model: nn.Module) -> None:
        super().attach(model)
        binarizers = binarizer_names(model)
        wrong = [name for name in self.names if name not in binarizers]
        if wrong:
            raise ValueError(
                f"added loss {self.name!r} taps activation binarizers, and "
                f"'{wrong[0]}' is none; choose from {', '.join(binarizers)}"
            )

    def default_taps(self, model: nn.Module) -> list[str]:
        names = binarizer_names(model)
        if not names:
            raise ValueError(
                f"added loss {self.name!r} needs an activation binarizer and the "
                "model has none; choose a method that binarizes activations"
            )
        return names

    def forward(
        self, student: Mapping[str, Tap], teacher: Mapping[str, Tensor]
    ) -> Tensor:
        seen = [student[name].full_precision for name in self.names if name in student]
        with torch.autocast(seen[0].device.type, enabled=False):
            losses = [activation_spread(x) for x in seen]
            return self.weight * torch.stack(losses).mean()


ADDED_LOSS = ActivationSpreadLoss
