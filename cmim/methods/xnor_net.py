r"""XNOR-Net: signs, scaled by filter magnitudes and by a map of activation magnitudes.

Rastegari, Ordonez, Redmon, Farhadi, XNOR-Net: ImageNet Classification Using Binary
Convolutional Neural Networks, ECCV 2016. https://arxiv.org/abs/1603.05279

Forward: ``K (sign(a) * alpha sign(w))`` with ``alpha = mean|w|`` per filter and K the
box filter of the channel mean of ``|a|``.
Backward: activations ``1{|a| <= 1}``; weights ``1/n + alpha 1{|w| <= 1}`` with n
weights a filter, as the paper states it. K is a constant of the step: the paper gives
no rule for it, and the released code has no K at all.

Full precision: stem, 1x1 down-sampling shortcuts, batch-norm, classifier. No
non-linearity after an addition (the paper's is optional): behind a ReLU every sign
would be +1, since here batch-norm comes before the addition, not before the sign.

Not from the paper and left out: the released code subtracts from the latent weights
their mean over the input channels, clips them to [-1, 1], and multiplies their gradient
by ``(1 - 1/I) n``.

Checked, without K: output and input gradient of one 3x3 layer against ``BinOp`` and
``BinActive`` of github.com/jiecaoyu/XNOR-Net-PyTorch, commit ebccb50: at most 3.6e-15
apart in float64, 1.4e-6 in float32 (order of summation). Its weight gradient is the
full product rule (``sign(w)/n sum_j g_j sign(w_j)`` instead of ``g/n``) and differs;
the paper's formula is that of github.com/allenai/XNOR-Net (Lua, read and restated, not
run), commit 4006d59: equal but for ``|w| = 1`` exactly, where that code cuts the
gradient and the paper does not. K is the paper's formula alone: no published code was
found to run.

Published: 51.2 % top-1 on ImageNet with ResNet-18 (README of Bi-Real
Net's code).
"""

from __future__ import annotations

from torch import Tensor, nn

from cmim.functional.sign import sign
from cmim.functional.weight_scale import mean_abs_per_filter, product_sign
from cmim.methods.binarizer import ScaledSignWeight
from cmim.methods.bnn import BnnActivation
from cmim.methods.method import Method
from cmim.methods.output_scale import ActivationScaleMap


class XnorWeight(ScaledSignWeight):
    """``mean|w| sign(w)`` per filter with the gradient ``1/n + mean|w| 1{|w| <= 1}``.

    Shape:
        ``(O, I, kh, kw)`` to the same shape.

    Examples:
        >>> import torch
        >>> XnorWeight()(torch.tensor([[[[0.5, -1.5]]]])).tolist()
        [[[[1.0, -1.0]]]]
    """

    def forward(self, weight: Tensor) -> Tensor:
        return product_sign(weight, self.scale(weight))

    def sign(self, weight: Tensor) -> Tensor:
        return sign(weight.detach())

    def scale(self, weight: Tensor) -> Tensor:
        return mean_abs_per_filter(weight.detach())


def METHOD(scale_map: bool = True) -> Method:
    """XNOR-Net.

    Args:
        scale_map: Multiply the output by K. Without it the scale is alpha alone, as
            in the released code.

    Examples:
        >>> METHOD().output_scale(nn.Conv2d(4, 8, 3, padding=1)).geometry[0]
        (3, 3)
    """
    return Method(
        name="xnor_net",
        paper="Rastegari et al., XNOR-Net, ECCV 2016. https://arxiv.org/abs/1603.05279",
        weight=lambda shape: XnorWeight(),
        activation=lambda channels: BnnActivation(),
        nonlinearity=lambda channels: nn.Identity(),
        full_precision="stem, down-sampling shortcuts, batch-norm, classifier"
        + (", map K" if scale_map else ""),
        output_scale=ActivationScaleMap if scale_map else None,
        checked="XNOR-Net-PyTorch without K, output and input gradient: 3.6e-15; "
        "weight gradient and K: paper",
        published=51.2,
    )
