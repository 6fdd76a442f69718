r"""IR-Net: balanced, standardised weights and a surrogate that sharpens in training.

Qin, Gong, Liu, Shen, Wei, Yu, Song, Forward and Backward Information Retention for
Accurate Binary Neural Networks, CVPR 2020. https://arxiv.org/abs/1909.10788

Forward: activations ``sign(a)``; weights (Libra-PB) ``w^ = (w - mean)/std`` per filter,
then ``sign(w^) 2^s`` with ``s = round(log2 mean|w^|)``: the scale is a bit shift.
Backward (EDE, error decay estimator): ``k t (1 - tanh^2(t x))`` for both, with
``t = t_min (t_max/t_min)^p`` and ``k = max(1/t, 1)`` at training progress p; for
weights times ``2^s``, and on through mean and standard deviation.

Full precision: stem, 1x1 down-sampling shortcuts, batch-norm, hard tanh after each
addition, classifier.

``t_min`` is 0.1 in the paper and in the released VGG and 1w32a code, 0.001 in the
released ResNet-20 1w1a code. That code moves t once an epoch, here it moves each step.
A filter of zeros has scale 0 here and is NaN there. Late in training gradients grow by
orders of magnitude from layer to layer: take bfloat16, not float16.

Checked: one 3x3 layer against ``IRConv2d`` of github.com/htqin/IR-Net (ResNet20/1w1a),
commit f63a590, at progress 0, 0.5, 0.8 and 1 and both values of t_min: output equal;
gradients of input and weights at most 6.8e-12 apart in float64 (of values up to
11,226), 3.2e-3 in float32 (of 11,726): order of operations. At exact zeros it gives 0,
here +1.

Published: 58.1 % top-1 on ImageNet with ResNet-18 (README of the released code).
"""

from __future__ import annotations

import torch
from torch import Tensor

from cmim.functional.error_decay import error_decay_sign, error_decay_slope
from cmim.functional.sign import sign
from cmim.functional.standardize import power_of_two_scale, standardize_filters
from cmim.methods.binarizer import ScaledSignWeight, TwoLevelActivation
from cmim.methods.method import Method
from cmim.methods.nonlinearity import HardTanh
from cmim.methods.schedule import Scheduled


class IrActivation(Scheduled, TwoLevelActivation):
    """``sign(a)`` with the gradient ``k t (1 - tanh^2(t a))``.

    Args:
        t_min: Steepness t at the start of training, > 0.
        t_max: Steepness t at its end, > 0.

    Shape:
        ``(N, C, *)`` to the same shape.

    Examples:
        >>> IrActivation(0.1, 10.0)(torch.tensor([[-0.3, 0.0]])).tolist()
        [[-1.0, 1.0]]
    """

    def __init__(self, t_min: float, t_max: float) -> None:
        super().__init__()
        self.t_min = t_min
        self.t_max = t_max

    def forward(self, x: Tensor) -> Tensor:
        slope = error_decay_slope(self.progress, self.t_min, self.t_max)
        return error_decay_sign(x, *slope)

    def threshold(self) -> Tensor:
        return torch.zeros(())

    def extra_repr(self) -> str:
        return f"t_min={self.t_min}, t_max={self.t_max}"


class IrWeight(Scheduled, ScaledSignWeight):
    """``sign(w^) 2^round(log2 mean|w^|)`` of the weights standardised per filter.

    Args:
        t_min: Steepness t at the start of training, > 0.
        t_max: Steepness t at its end, > 0.

    Shape:
        ``(O, I, kh, kw)`` to the same shape.

    Examples:
        >>> IrWeight(0.1, 10.0)(torch.tensor([[[[1.0, 2.0, 4.0]]]])).tolist()
        [[[[-1.0, -1.0, 1.0]]]]
    """

    def __init__(self, t_min: float, t_max: float) -> None:
        super().__init__()
        self.t_min = t_min
        self.t_max = t_max

    def forward(self, weight: Tensor) -> Tensor:
        standardized = standardize_filters(weight)
        slope = error_decay_slope(self.progress, self.t_min, self.t_max)
        scale = power_of_two_scale(standardized.detach())
        return error_decay_sign(standardized, *slope) * scale

    def sign(self, weight: Tensor) -> Tensor:
        return sign(standardize_filters(weight.detach()))

    def scale(self, weight: Tensor) -> Tensor:
        return power_of_two_scale(standardize_filters(weight.detach()))

    def extra_repr(self) -> str:
        return f"t_min={self.t_min}, t_max={self.t_max}"


def METHOD(t_min: float = 0.1, t_max: float = 10.0) -> Method:
    """IR-Net.

    Args:
        t_min: Steepness of the surrogate at the start of training, > 0.
        t_max: Steepness at its end, > 0.

    Raises:
        ValueError: A steepness that is not positive.

    Examples:
        >>> METHOD(t_min=0.001).activation(8)
        IrActivation(t_min=0.001, t_max=10.0)
    """
    if t_min <= 0 or t_max <= 0:
        raise ValueError(
            f"method 'irnet' needs positive t_min and t_max, got {t_min} and {t_max}"
        )
    return Method(
        name="irnet",
        paper="Qin et al., IR-Net, CVPR 2020. https://arxiv.org/abs/1909.10788",
        weight=lambda shape: IrWeight(t_min, t_max),
        activation=lambda channels: IrActivation(t_min, t_max),
        nonlinearity=lambda channels: HardTanh(),
        full_precision="stem, down-sampling shortcuts, batch-norm, classifier",
        checked="IR-Net (ResNet20/1w1a), output equal, gradients: 6.8e-12 of 1.1e4",
        published=58.1,
    )
