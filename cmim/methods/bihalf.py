r"""Bi-half: as many +1 as -1 in each filter, whatever the signs of the weights.

Li, Pintea, van Gemert, Equal Bits: Enforcing Equally Distributed Binary Network
Weights, AAAI 2022. https://arxiv.org/abs/2112.03406

Forward: activations ``sign(a)``; the smaller half of each filter's n weights is -1, the
other +1 (one more where n is odd), times the constant ``sqrt(2/n)``.
Backward: activations ``1{|a| <= 1}``; weights the identity to each weight, times the
constant.

The codes solve the optimal transport of a filter's weights to +1 and -1 in equal
shares. The constant is the deviation of He's initialisation, and nothing but a factor
of gradients in front of a batch-norm.

Full precision: stem, 1x1 down-sampling shortcuts, batch-norm, a PReLU between
convolution and batch-norm with a slope per channel, classifier. The released blocks
share one PReLU between their two convolutions; here each has its own. Shares other than
one half, and its pruning, are not part of the method here.

Published: 60.4 % on ImageNet, ResNet-18 (remembered of the paper, whose tables were not
at hand).

Checked: one 3x3 layer, in filters of odd and of even size, against ``EBConv2d`` and
``BinActive`` of github.com/liyunqianggyn/Equal-Bits-BNN (``CIFAR10``; ``ImageNet`` has
the same layer), commit 4cb313e: output and gradients of input and weights at most
6.7e-16 apart in float64 (of values up to 9), equal in float32; the PReLU behind it
equal. At exact zeros of activations it gives 0, here +1, and it cuts the gradient at
``|a| = 1``, where it is 1 here.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from cmim.functional.equal_bits import equal_bits
from cmim.methods.binarizer import ScaledSignWeight
from cmim.methods.bnn import BnnActivation
from cmim.methods.method import Method, Shape
from cmim.methods.output_scale import OutputPReLU


class BihalfWeight(ScaledSignWeight):
    """``sqrt(2/n)`` times -1 for the smaller half of a filter and +1 for the rest.

    Args:
        shape: ``(O, I, kh, kw)`` of the weights.

    Shape:
        ``(O, I, kh, kw)`` to the same shape.

    Examples:
        >>> import torch
        >>> weight = torch.tensor([3.0, 1.0]).view(1, 2, 1, 1)
        >>> BihalfWeight((1, 2, 1, 1))(weight).flatten().tolist()
        [1.0, -1.0]
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.factor = math.sqrt(2 / math.prod(shape[1:]))

    def forward(self, weight: Tensor) -> Tensor:
        return self.factor * equal_bits(weight)

    def sign(self, weight: Tensor) -> Tensor:
        return equal_bits(weight.detach())

    def scale(self, weight: Tensor) -> Tensor:
        # One number for the layer, which is how costs count it.
        return weight.new_full((1, 1, 1, 1), self.factor).expand(len(weight), 1, 1, 1)


def METHOD() -> Method:
    """Bi-half.

    Examples:
        >>> METHOD().is_binary
        True
    """
    return Method(
        name="bihalf",
        paper="Li et al., Equal Bits, AAAI 2022. https://arxiv.org/abs/2112.03406",
        weight=BihalfWeight,
        activation=lambda channels: BnnActivation(),
        nonlinearity=lambda channels: nn.Identity(),
        full_precision="stem, down-sampling shortcuts, batch-norm, PReLU, classifier",
        output_scale=lambda conv: OutputPReLU(conv.out_channels),
        checked="Equal-Bits-BNN, output and gradients: 6.7e-16",
        published=60.4,
    )
