r"""XNOR-Net++: signs, and one learned factor for the output of each convolution.

Bulat, Tzimiropoulos, XNOR-Net++: Improved Binary Neural Networks, BMVC 2019.
https://arxiv.org/abs/1909.13863

Forward: ``Gamma (sign(a) * sign(w))`` with Gamma learned, started at 1, of one of four
shapes (the paper's cases 1 to 4): per channel ``'o'``, ``'ohw'``, ``'o_hw'`` (channel
times plane) and ``'o_h_w'`` (channel times row times column).
Backward: ``1{|a| <= 1}`` and ``1{|w| <= 1}``; Gamma by backpropagation.

Full precision: stem, 1x1 down-sampling shortcuts, batch-norm, Gamma, classifier. No
non-linearity after an addition, as with XNOR-Net.

Not from the paper: its Gamma has the size of the output, here the resolution is free.
Rows and columns of Gamma lie on a grid and are interpolated linearly to the size of
the output; where the sizes are equal that is the identity, and so the paper's Gamma.
The default is ``'o_h_w'``, from which the paper's best numbers come, on a coarse grid
of 8: a position of a dense prediction means something only as far as the camera holds
still (floor below, ceiling above), and random crops move it. ``'o'`` keeps the network
equivariant to translations, and can be folded into the batch-norm.

Checked: one 3x3 layer against ``SignActivation`` and ``BasicScaleBinarizer`` of the
first author's github.com/1adrianb/binary-networks-pytorch, commit 51bdeee, for the four
shapes, at the size of the grid: output and gradients of input, weights and Gamma at
most 7.1e-14 apart in float64 (of values up to 385), 1.3e-4 in float32 (of 646): order
of summation. That code cuts the gradient at ``|a| = 1`` and ``|w| = 1`` and gives 0 at
exact zeros; here they are 1 and +1. It has a learned scale of any fixed shape, no
interpolation, and starts it at 1 as here; the paper's own start was not read.

Published: 57.1 % top-1 on ImageNet with ResNet-18 (paperswithcode.com's entry of the
paper's results).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cmim.functional.scale_map import resample_linear
from cmim.functional.sign import sign, ste_sign
from cmim.methods.binarizer import ScaledSignWeight
from cmim.methods.bnn import BnnActivation
from cmim.methods.method import Method
from cmim.methods.output_scale import OutputScale

VARIANTS = ("o", "ohw", "o_hw", "o_h_w")


class XnorPlusWeight(ScaledSignWeight):
    """``sign(w)`` with the gradient ``1{|w| <= 1}``.

    Shape:
        ``(O, I, kh, kw)`` to the same shape.

    Examples:
        >>> XnorPlusWeight()(torch.tensor([[[[0.5, -1.5]]]])).tolist()
        [[[[1.0, -1.0]]]]
    """

    def forward(self, weight: Tensor) -> Tensor:
        return ste_sign(weight)

    def sign(self, weight: Tensor) -> Tensor:
        return sign(weight.detach())

    def scale(self, weight: Tensor) -> Tensor:
        return weight.new_ones(weight.shape[0], 1, 1, 1)


class GammaScale(OutputScale):
    r"""Learned Gamma: a product of factors over channels, rows and columns.

    Each factor is named by its axes; rows and columns lie on a grid, and are
    interpolated to the output's size.

    Args:
        channels: O, output channels of the convolution.
        variant: ``'o'``, ``'ohw'``, ``'o_hw'`` or ``'o_h_w'``.
        grid: Rows and columns of the grid, at least 1.

    Shape:
        ``out`` ``(N, O, H', W')`` to the same shape, dtype and device.

    Examples:
        >>> scale = GammaScale(2, "o_h_w", grid=2)
        >>> {name: tuple(f.shape) for name, f in scale.factors.items()}
        {'h': (1, 2, 1), 'o': (2, 1, 1), 'w': (1, 1, 2)}
        >>> _ = scale.factors["h"].data.copy_(torch.tensor([[[0.0], [3.0]]]))
        >>> scale(torch.ones(1, 2, 3, 1), torch.zeros(1, 4, 3, 1))[0, 0].tolist()
        [[0.0], [1.5], [3.0]]
    """

    def __init__(self, channels: int, variant: str, grid: int) -> None:
        super().__init__()
        sides = {"o": channels, "h": grid, "w": grid}
        self.factors = nn.ParameterDict(
            {
                axes: nn.Parameter(
                    torch.ones([sides[axis] if axis in axes else 1 for axis in "ohw"])
                )
                for axes in variant.split("_")
            }
        )

    def forward(self, out: Tensor, activation: Tensor) -> Tensor:
        # Multiplied with each other first: they are small, the output is not.
        height, width = out.shape[-2:]
        gamma = out.new_ones(1, 1, 1)
        for factor in self.factors.values():
            gamma = gamma * resample_linear(factor, (height, width))
        return out * gamma.to(out.dtype)


def METHOD(variant: str = "o_h_w", grid: int = 8) -> Method:
    """XNOR-Net++.

    Args:
        variant: Shape of Gamma: ``'o'``, ``'ohw'``, ``'o_hw'`` or ``'o_h_w'``.
        grid: Side of the grid on which rows and columns of Gamma lie, at least 1.
            The output's own size gives the paper's Gamma.

    Raises:
        ValueError: Unknown variant, or an empty grid.

    Examples:
        >>> METHOD("ohw", 4).output_scale(nn.Conv2d(3, 6, 3)).factors["ohw"].shape
        torch.Size([6, 4, 4])
    """
    if variant not in VARIANTS:
        raise ValueError(
            f"method 'xnor_net_pp' has no variant {variant!r}; "
            f"choose from {', '.join(VARIANTS)}"
        )
    if grid < 1:
        raise ValueError(f"method 'xnor_net_pp' needs a grid of at least 1, got {grid}")
    return Method(
        name="xnor_net_pp",
        paper="Bulat, Tzimiropoulos, XNOR-Net++, BMVC 2019. "
        "https://arxiv.org/abs/1909.13863",
        weight=lambda shape: XnorPlusWeight(),
        activation=lambda channels: BnnActivation(),
        nonlinearity=lambda channels: nn.Identity(),
        full_precision="stem, down-sampling shortcuts, batch-norm, output scale, "
        "classifier",
        output_scale=lambda conv: GammaScale(conv.out_channels, variant, grid),
        checked="binary-networks-pytorch at the grid's size, output and gradients: "
        "7.1e-14",
        published=57.1,
    )
