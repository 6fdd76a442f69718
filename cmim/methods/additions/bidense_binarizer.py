r"""BiDense's distribution-adaptive binarizer of activations.

Yin, BiDense: Binarization for Dense Prediction, 2024.
https://arxiv.org/abs/2411.10346

Forward: ``e^(alpha (mean|z| - 1)) b(z)`` with ``z = a - (k mean(a) + beta)``, b the
method's own binarizer (sign in the paper), the means over the pixels of one sample and
channel, and alpha, k, beta learned per channel. alpha and k start at random normal
values of standard deviation 1e-3, beta at 0: at first almost b itself.
Backward: that of b at z, times the scale; the means are constants of the step.

Surprises: the scale reads the shifted activation z (released code). Thresholds and
levels depend on the input, so export cannot fold them (``static = False``). Two more
activations a layer stay in memory for the backward pass: z and b(z).

Full precision: as the method; the scale per sample and channel.

Checked: on Bi-Real's 3x3 layer with random alpha, k, beta against
``ValueAdaptiveBinarizer`` and ``BinaryWeightConv2d`` of github.com/frickyinn/BiDense,
commit e593da1: weight gradient equal; output and gradients of input, alpha, k, beta at
most 4.3e-14 apart in float64 (of values up to 153), 1.5e-5 in float32 (of 98). At exact
zeros it gives 0, here +1. The released linear layers have another binarizer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from cmim.functional.distribution_adaptive import adaptive_scale, adaptive_shift
from cmim.methods.binarizer import ActivationBinarizer, Step
from cmim.methods.method import Method, require_activation


class DistributionAdaptiveActivation(ActivationBinarizer):
    """The inner binarizer with a threshold and a scale of each sample and channel.

    Args:
        inner: The method's own binarizer.
        channels: C.

    Shape:
        ``(N, C, *)`` to the same shape.

    Examples:
        >>> from cmim.methods import get_method
        >>> sign = get_method("bireal").activation(1)
        >>> binarize = DistributionAdaptiveActivation(sign, channels=1)
        >>> for name, value in dict(exponent=0.0, slope=1.0, bias=0.5).items():
        ...     _ = nn.init.constant_(binarize.get_parameter(name), value)
        >>> binarize(torch.tensor([[[1.0, 2.0, 3.0]]])).tolist()  # threshold 2.5
        [[[-1.0, -1.0, 1.0]]]
    """

    static = False

    def __init__(self, inner: ActivationBinarizer, channels: int) -> None:
        super().__init__()
        self.inner = inner
        self.even = inner.even
        self.exponent = nn.Parameter(torch.randn(channels) * 1e-3)
        self.slope = nn.Parameter(torch.randn(channels) * 1e-3)
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        shifted = x - adaptive_shift(x, self.slope, self.bias)
        return self.inner(shifted) * adaptive_scale(shifted, self.exponent)

    @torch.no_grad()
    def steps(self, x: Tensor) -> list[Step]:
        shift = adaptive_shift(x, self.slope, self.bias)
        shifted = x - shift
        scale = adaptive_scale(shifted, self.exponent)
        return [
            Step(threshold.to(x.dtype) + shift, low * scale, high * scale)
            for threshold, low, high in self.inner.steps(shifted)
        ]


def ADDITION() -> Callable[[Method], Method]:
    """BiDense's binarizer.

    Raises:
        ValueError: The method keeps its activations real.

    Examples:
        >>> from cmim.methods import get_method
        >>> ADDITION()(get_method("bireal")).name
        'bireal+bidense_binarizer'
    """

    def apply(method: Method) -> Method:
        activation = require_activation(method, "bidense_binarizer")
        return replace(
            method,
            name=f"{method.name}+bidense_binarizer",
            paper=f"{method.paper}; Yin, BiDense, 2024. "
            "https://arxiv.org/abs/2411.10346",
            activation=lambda channels: DistributionAdaptiveActivation(
                activation(channels), channels
            ),
            full_precision=f"{method.full_precision}, activation scale",
            checked=f"{method.checked}; BiDense: 4.3e-14",
        )

    return apply
