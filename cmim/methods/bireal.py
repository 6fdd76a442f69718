r"""Bi-Real Net: piecewise-quadratic surrogate, one shortcut per convolution.

Liu et al., Bi-Real Net: Enhancing the Performance of 1-bit CNNs with Improved
Representational Capability and Advanced Training Algorithm, ECCV 2018.
https://arxiv.org/abs/1808.00278

Forward: activations ``sign(a)``, weights ``mean|w| sign(w)`` per filter.
Backward: activations ``max(0, 2 - 2|a|)``; weights ``1{|w| <= 1}``, in the paper times
``mean|w|`` (magnitude-aware), in most PyTorch code not: both are offered.

Full precision: stem, 1x1 down-sampling shortcuts, batch-norm, classifier.

Checked: one 3x3 layer, not magnitude-aware, against ``BinaryActivation`` and
``HardBinaryConv`` of github.com/liuzechun/Bi-Real-net (PyTorch, 18 and 34 layers),
commit f58aa4d: weight gradient equal; output and input gradient at most 2.1e-14 apart
in float64 (of values up to 104), 1.1e-5 in float32 (of 93): order of summation. At
exact zeros it gives 0, here +1.

Published: 56.4 % top-1 on ImageNet with ResNet-18 (README of the released code).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cmim.functional.sign import approx_sign, sign
from cmim.functional.weight_scale import mean_abs_per_filter, scaled_sign
from cmim.methods.binarizer import ScaledSignWeight, TwoLevelActivation
from cmim.methods.method import Method


class BiRealActivation(TwoLevelActivation):
    """``sign(a)`` with the gradient ``max(0, 2 - 2|a|)``.

    Shape:
        ``(N, C, *)`` to the same shape.

    Examples:
        >>> BiRealActivation()(torch.tensor([[-0.3, 0.0]])).tolist()
        [[-1.0, 1.0]]
    """

    def forward(self, x: Tensor) -> Tensor:
        return approx_sign(x)

    def threshold(self) -> Tensor:
        return torch.zeros(())


class BiRealWeight(ScaledSignWeight):
    """``mean|w| sign(w)`` per filter with a clipped straight-through gradient.

    Args:
        magnitude_aware: Multiply the gradient by ``mean|w|`` as the paper does.

    Shape:
        ``(O, I, kh, kw)`` to the same shape.

    Examples:
        >>> w = torch.tensor([[[[0.5, -1.5]]]])
        >>> BiRealWeight()(w).tolist()
        [[[[1.0, -1.0]]]]
    """

    def __init__(self, magnitude_aware: bool = False) -> None:
        super().__init__()
        self.magnitude_aware = magnitude_aware

    def forward(self, weight: Tensor) -> Tensor:
        return scaled_sign(weight, self.scale(weight), self.magnitude_aware)

    def sign(self, weight: Tensor) -> Tensor:
        return sign(weight.detach())

    def scale(self, weight: Tensor) -> Tensor:
        return mean_abs_per_filter(weight.detach())

    def extra_repr(self) -> str:
        return f"magnitude_aware={self.magnitude_aware}"


def METHOD(magnitude_aware: bool = False) -> Method:
    """Bi-Real Net.

    Args:
        magnitude_aware: See :class:`BiRealWeight`.

    Examples:
        >>> METHOD().is_binary
        True
    """
    return Method(
        name="bireal",
        paper="Liu et al., Bi-Real Net, ECCV 2018. https://arxiv.org/abs/1808.00278",
        weight=lambda shape: BiRealWeight(magnitude_aware),
        activation=lambda channels: BiRealActivation(),
        nonlinearity=lambda channels: nn.Identity(),
        full_precision="stem, down-sampling shortcuts, batch-norm, classifier",
        checked="Bi-Real-net (PyTorch), output and gradients: 2.1e-14",
        published=56.4,
    )
