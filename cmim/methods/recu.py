r"""ReCU: latent weights clamped at a quantile, so that dead ones learn again.

Xu, Lin, Liu, Chen, Shao, Gao, Tian, Ji, ReCU: Reviving the Dead Weights in Binary
Neural Networks, ICCV 2021. https://arxiv.org/abs/2103.12369

Forward: activations ``sign(a)``; weights ``sign(w - mean)`` per filter; the output
times a learned factor per channel.
Backward: activations Bi-Real's ``max(0, 2 - 2|a/s|)`` with s the sample's standard
deviation, in training, and on through s; weights the identity, through the clamp
``1{|w^| <= Q}`` and the standardisation ``w^ = 2 sqrt(2) (w - mean)/sqrt(var + 1e-5)``.
``Q = -mean|w^| ln(2 - 2 tau)``, mean over the layer, with tau from 0.85 to 0.99
exponentially over training.

Full precision: stem, 1x1 down-sampling shortcuts, batch-norm, learned output scale,
hard tanh after each addition, classifier.

The released code moves tau once an epoch, here it moves each step.

Checked: one 3x3 layer against ``BinarizeConv2d`` of github.com/z-hXu/ReCU (``cifar``
and ``imagenet``), commit 9a73bed, at progress 0, 0.5 and 1, in training and evaluation:
output and gradient of the learned scale equal; input and weight gradients at most
2.8e-14 apart in float64 (of values up to 155), 1.5e-5 in float32 (of 110): order of
summation. At exact zeros it gives 0, here +1.

Published: 61.0 % top-1 on ImageNet with ResNet-18 (README of the
released code; 61.2 there after fine-tuning).
"""

from __future__ import annotations

import torch
from torch import Tensor

from cmim.functional.sign import approx_sign, identity_sign, sign
from cmim.functional.standardize import (
    quantile_threshold,
    rectified_clamp,
    standardize_filters,
    standardized_approx_sign,
)
from cmim.methods.binarizer import ScaledSignWeight, TwoLevelActivation
from cmim.methods.method import Method
from cmim.methods.nonlinearity import HardTanh
from cmim.methods.output_scale import ChannelScale
from cmim.methods.schedule import Scheduled

# Standard deviation of a Laplace distribution of width 2, as in the released code.
WEIGHT_SCALE = 2 * 2**0.5


class RecuActivation(TwoLevelActivation):
    """``sign(a)``; in training the gradient is that of the standardised sample.

    Shape:
        ``(N, C, *)`` to the same shape.

    Examples:
        >>> RecuActivation()(torch.tensor([[-0.3, 0.0]])).tolist()
        [[-1.0, 1.0]]
    """

    def forward(self, x: Tensor) -> Tensor:
        return standardized_approx_sign(x) if self.training else approx_sign(x)

    def threshold(self) -> Tensor:
        return torch.zeros(())


class RecuWeight(Scheduled, ScaledSignWeight):
    """``sign(w - mean)`` with the gradient of the standardised and clamped weights.

    Args:
        tau_min: tau at the start of training, between 0.5 and 1.
        tau_max: tau at its end, between 0.5 and 1.

    Shape:
        ``(O, I, kh, kw)`` to the same shape.

    Examples:
        >>> RecuWeight(0.85, 0.99)(torch.tensor([[[[1.0, 2.0, 4.0]]]])).tolist()
        [[[[-1.0, -1.0, 1.0]]]]
    """

    def __init__(self, tau_min: float, tau_max: float) -> None:
        super().__init__()
        self.tau_min = tau_min
        self.tau_max = tau_max

    def forward(self, weight: Tensor) -> Tensor:
        standardized = standardize_filters(weight, eps=1e-5, scale=WEIGHT_SCALE)
        tau = quantile_threshold(self.progress, self.tau_min, self.tau_max)
        return identity_sign(rectified_clamp(standardized, tau))

    def sign(self, weight: Tensor) -> Tensor:
        return sign(standardize_filters(weight.detach(), 1e-5, WEIGHT_SCALE))

    def scale(self, weight: Tensor) -> Tensor:
        return weight.new_ones(weight.shape[0], 1, 1, 1)

    def extra_repr(self) -> str:
        return f"tau_min={self.tau_min}, tau_max={self.tau_max}"


def METHOD(tau_min: float = 0.85, tau_max: float = 0.99) -> Method:
    """ReCU.

    Args:
        tau_min: Quantile of the clamp at the start of training.
        tau_max: Quantile at its end.

    Raises:
        ValueError: Not 0.5 < tau < 1.

    Examples:
        >>> METHOD(tau_max=0.95).weight((4, 2, 3, 3))
        RecuWeight(tau_min=0.85, tau_max=0.95)
    """
    if not (0.5 < tau_min < 1 and 0.5 < tau_max < 1):
        raise ValueError(
            "method 'recu' needs tau_min and tau_max between 0.5 and 1, got "
            f"{tau_min} and {tau_max}"
        )
    return Method(
        name="recu",
        paper="Xu et al., ReCU, ICCV 2021. https://arxiv.org/abs/2103.12369",
        weight=lambda shape: RecuWeight(tau_min, tau_max),
        activation=lambda channels: RecuActivation(),
        nonlinearity=lambda channels: HardTanh(),
        full_precision="stem, down-sampling shortcuts, batch-norm, output scale, "
        "classifier",
        output_scale=lambda conv: ChannelScale(conv.out_channels),
        checked="ReCU (cifar, imagenet), output and gradients: 2.8e-14",
        published=61.0,
    )
