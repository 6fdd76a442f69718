r"""DoReFa-Net with 1-bit weights and activations.

Zhou, Wu, Ni, Zhou, Wen, Zou, DoReFa-Net: Training Low Bitwidth Convolutional Neural
Networks with Low Bitwidth Gradients, 2016. https://arxiv.org/abs/1606.06160

Forward: weights ``E|w| sign(w)`` with one scale for the layer; activations
``round(clip(a, 0, 1))`` in {0, 1}, with 1/2 rounded up. Many binary networks that name
DoReFa use ``sign(a)`` in {-1, +1} instead: ``signed=True``.
Backward: weights the identity, also past the scale; activations ``1{0 <= a <= 1}``,
signed ``1{|a| <= 1}``.

Full precision: stem, 1x1 down-sampling shortcuts, batch-norm, classifier; and the
gradients: the paper's gradient quantization, and more than one bit, are not offered.
The clip is part of the activation binarizer, so there is no other non-linearity.

Checked: formulas read in the co-author's TensorFlow code (``examples/DoReFa-Net`` of
github.com/tensorpack/tensorpack), which was not run. It rounds half to even, so there a
= 1/2 gives 0.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cmim.functional.sign import identity_sign, sign, unit_step
from cmim.functional.weight_scale import mean_abs_per_layer
from cmim.methods.binarizer import ScaledSignWeight, TwoLevelActivation
from cmim.methods.bnn import BnnActivation
from cmim.methods.method import Method


class DorefaActivation(TwoLevelActivation):
    """``round(clip(a, 0, 1))`` with the gradient ``1{0 <= a <= 1}``.

    Shape:
        ``(N, C, *)`` to the same shape.

    Examples:
        >>> DorefaActivation()(torch.tensor([[-2.0, 0.4, 0.5]])).tolist()
        [[0.0, 0.0, 1.0]]
    """

    levels = (0.0, 1.0)

    def forward(self, x: Tensor) -> Tensor:
        return unit_step(x)

    def threshold(self) -> Tensor:
        return torch.full((), 0.5)


class DorefaWeight(ScaledSignWeight):
    """``E|w| sign(w)`` with one scale a layer and the identity gradient.

    Shape:
        ``(O, I, kh, kw)`` to the same shape.

    Examples:
        >>> DorefaWeight()(torch.tensor([[[[0.5]]], [[[-1.5]]]])).flatten().tolist()
        [1.0, -1.0]
    """

    def forward(self, weight: Tensor) -> Tensor:
        return identity_sign(weight, self.scale(weight))

    def sign(self, weight: Tensor) -> Tensor:
        return sign(weight.detach())

    def scale(self, weight: Tensor) -> Tensor:
        return mean_abs_per_layer(weight.detach())


def METHOD(signed: bool = False) -> Method:
    """DoReFa-Net.

    Args:
        signed: Activations in {-1, +1} instead of the paper's {0, 1}.

    Examples:
        >>> METHOD().activation(8).levels, METHOD(signed=True).activation(8).levels
        ((0.0, 1.0), (-1.0, 1.0))
    """
    return Method(
        name="dorefa",
        paper="Zhou et al., DoReFa-Net, 2016. https://arxiv.org/abs/1606.06160",
        weight=lambda shape: DorefaWeight(),
        activation=lambda channels: BnnActivation() if signed else DorefaActivation(),
        nonlinearity=lambda channels: nn.Identity(),
        full_precision="stem, down-sampling shortcuts, batch-norm, classifier",
        checked="co-author's TensorFlow code read, not run; differs at a = 1/2",
    )
