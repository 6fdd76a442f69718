r"""ReSTE: a surrogate that bends from the identity towards the sign.

Wu, Zheng, Liu, Zheng, Estimator Meets Equilibrium Perspective: A Rectified Straight
Through Estimator for Binary Neural Networks Training, ICCV 2023.
https://arxiv.org/abs/2308.06689

Forward: activations ``sign(a)``; weights ``mean|w| sign(w)``, one mean for the layer; a
ReLU between the convolution and its batch-norm.
Backward: ``r(x) = |x|^(1/o - 1)/o`` for ``0.1 < |x| <= 1.5``, the secant ``0.1^(1/o -
1)`` for ``|x| <= 0.1``, else 0. Activations ``r(a)``; weights the product rule ``r(w)
mean|w| g + sign(w)/n sum_j g_j sign(w_j)``, as the gradient flows through the mean, too
(n weights in the layer; ``torch.abs`` has the slope 0 at 0). o rises from 1 to
``power_end`` as ``1 - cos(pi/2 p)`` over the training.

Full precision: stem, 1x1 down-sampling shortcuts, batch-norm, classifier.

The ReLU stands where the released ResNet-18 for ImageNet has it: in front of the
batch-norm, so that nothing follows the additions. The released code moves o once an
epoch, here it moves each step.

Checked: one 3x3 layer and the ReLU against ``BinarizeConv2d`` of
github.com/DravenALG/ReSTE, commit 0d3c36a, with o of progress 0, 0.5 and 1: output
equal; gradients at most 7.1e-15 apart in float64 (of values up to 66), 7.7e-6 in
float32 (of 76): order of summation. At exact zeros it gives 0, here +1.

Published: 60.88 % top-1 on ImageNet with ResNet-18 (README of the released code).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmim.functional.power_sign import power_at, power_sign
from cmim.functional.sign import sign
from cmim.functional.weight_scale import mean_abs_per_layer
from cmim.methods.binarizer import ScaledSignWeight, TwoLevelActivation
from cmim.methods.method import Method
from cmim.methods.output_scale import OutputScale
from cmim.methods.schedule import Scheduled


class ResteActivation(Scheduled, TwoLevelActivation):
    """``sign(a)`` with the rectified root's slope as gradient.

    Args:
        power_end: o at the end of training.

    Shape:
        ``(N, C, *)`` to the same shape.

    Examples:
        >>> ResteActivation(3.0)(torch.tensor([[-0.3, 0.0]])).tolist()
        [[-1.0, 1.0]]
    """

    def __init__(self, power_end: float) -> None:
        super().__init__()
        self.power_end = power_end

    def forward(self, x: Tensor) -> Tensor:
        return power_sign(x, power_at(self.progress, self.power_end))

    def threshold(self) -> Tensor:
        return torch.zeros(())

    def extra_repr(self) -> str:
        return f"power_end={self.power_end:g}"


class ResteWeight(Scheduled, ScaledSignWeight):
    """``mean|w| sign(w)`` of the layer, with a gradient through sign and mean.

    Args:
        power_end: o at the end of training.

    Shape:
        ``(O, I, kh, kw)`` to the same shape.

    Examples:
        >>> ResteWeight(3.0)(torch.tensor([[[[0.5, -1.5]]]])).tolist()
        [[[[1.0, -1.0]]]]
    """

    def __init__(self, power_end: float) -> None:
        super().__init__()
        self.power_end = power_end

    def forward(self, weight: Tensor) -> Tensor:
        codes = power_sign(weight, power_at(self.progress, self.power_end))
        return codes * mean_abs_per_layer(weight)

    def sign(self, weight: Tensor) -> Tensor:
        return sign(weight.detach())

    def scale(self, weight: Tensor) -> Tensor:
        return mean_abs_per_layer(weight.detach())

    def extra_repr(self) -> str:
        return f"power_end={self.power_end:g}"


class Rectified(OutputScale):
    """A ReLU between a convolution and its batch-norm.

    Examples:
        >>> Rectified()(torch.tensor([-1.0, 2.0]), torch.zeros(2)).tolist()
        [0.0, 2.0]
    """

    def forward(self, out: Tensor, activation: Tensor) -> Tensor:
        return F.relu(out)


def METHOD(power_end: float = 3.0) -> Method:
    """ReSTE.

    Args:
        power_end: o at the end of training, at least 1 (the identity's slope).

    Raises:
        ValueError: A power below 1.

    Examples:
        >>> METHOD(power_end=2).activation(8)
        ResteActivation(power_end=2)
    """
    if power_end < 1:
        raise ValueError(
            f"method 'reste' needs power_end of at least 1, got {power_end}"
        )
    return Method(
        name="reste",
        paper="Wu et al., ReSTE, ICCV 2023. https://arxiv.org/abs/2308.06689",
        weight=lambda shape: ResteWeight(power_end),
        activation=lambda channels: ResteActivation(power_end),
        nonlinearity=lambda channels: nn.Identity(),
        full_precision="stem, down-sampling shortcuts, batch-norm, classifier",
        output_scale=lambda conv: Rectified(),
        checked="ReSTE, output equal, gradients: 7.1e-15 (of 66)",
        published=60.88,
    )
