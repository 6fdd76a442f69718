"""BNext's binary convolution, gated by what it reads and by what it gives."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cmim.layers.unit import ConvUnit
from cmim.methods import Method

REDUCTION = 8
# One or two rectified values may be 0 for all pictures, and then learn nothing.
LEAST_HIDDEN = 4


class GatedUnit(nn.Module):
    r"""A binary convolution that keeps the channels, gated, with a shortcut.

    .. math::
        u = p_1(B_1(s(w * b(x), x))), \qquad
        g = G\left(\sigma \bar x + (1 - \sigma) u\right)

    .. math::
        y = \bar x + B_2(g u), \qquad \text{or with products} \quad
        y = r + B_2(g u r), \quad r = \overline{p_2(x)}

    with a convolve-normalise unit of the method's binarizers b and w and output scale
    s, PReLUs p, batch-norms B, a mean over ``stride x stride`` pixels :math:`\bar x`
    and a mixing weight :math:`\sigma` per channel, from 0 to 1. The gate
    :math:`G(m) = \mathrm{sigmoid}(W_2 \max(0, W_1 z + c_1) + c_2)` reads the means z of
    the channels of m, with an eighth as many hidden values.

    The PReLUs are the network's own and stand in place of the method's non-linearity,
    in full precision as well. :math:`\sigma` is clipped where it is used and its
    gradient passes; the released code clips the stored values in place.

    Checked: ``Attention``, ``FFN_3x3``, ``FFN_1x1`` and ``BasicBlock`` of
    github.com/hpi-xnor/BNext, commit dfcf347, with their own signs in place of b, for
    strides 1 and 2, and BNext-Tiny whole: outputs and gradients at most 5e-13 apart in
    float64 (of values up to 406), the features of the whole 9e-12 (of 17). Its average
    pooling drops the last row of odd sizes, which is kept here.

    Args:
        method: Binarizers and output scale.
        channels: Input and output channels.
        kernel_size: Odd side of the square kernel in pixels.
        stride: Stride in pixels.
        dilation: Dilation in pixels.
        products: Multiply with the shortcut (the code's ``Attention``, beside its
            ``FFN_3x3`` and ``FFN_1x1``).

    Shape:
        ``(N, C, H, W)`` to ``(N, C, ceil(H / stride), ceil(W / stride))``.

    References:
        Guo et al., Join the High Accuracy Club on ImageNet with A Binary Neural Network
        Ticket, 2022, Fig. 4. https://arxiv.org/abs/2211.12933

    Examples:
        >>> from cmim.methods import get_method
        >>> unit = GatedUnit(get_method("bnn"), 8, 3, stride=2)
        >>> unit(torch.zeros(1, 8, 5, 6)).shape
        torch.Size([1, 8, 3, 3])
    """

    def __init__(
        self,
        method: Method,
        channels: int,
        kernel_size: int,
        stride: int = 1,
        dilation: int = 1,
        products: bool = False,
    ) -> None:
        super().__init__()
        self.unit = ConvUnit(method, channels, channels, kernel_size, stride, dilation)
        self.prelu1 = nn.PReLU(channels)
        self.prelu2 = nn.PReLU(channels) if products else None
        self.pool = (
            nn.AvgPool2d(stride, ceil_mode=True, count_include_pad=False)
            if stride > 1
            else nn.Identity()
        )
        self.mix = nn.Parameter(torch.full((1, channels, 1, 1), 0.5))
        hidden = max(channels // REDUCTION, min(channels, LEAST_HIDDEN))
        self.gate = nn.Sequential(
            nn.Linear(channels, hidden),
            nn.ReLU(),
            nn.Linear(hidden, channels),
            nn.Sigmoid(),
        )
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        out = self.prelu1(self.unit(x))
        pooled = self.pool(x)
        # The clipped value with the gradient of the stored one.
        share = self.mix + (self.mix.clamp(0, 1) - self.mix).detach()
        mixed = share * pooled + (1 - share) * out
        out = self.gate(mixed.mean((2, 3)))[:, :, None, None] * out
        if self.prelu2 is None:
            return self.bn(out) + pooled
        shortcut = self.pool(self.prelu2(x))
        return self.bn(out * shortcut) + shortcut
