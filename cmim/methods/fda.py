r"""FDA: the sign's gradient from the first sines of its Fourier series.

Xu, Han, Xu, Tang, Xu, Wang, Learning Frequency Domain Approximation for Binary Neural
Networks, NeurIPS 2021. https://arxiv.org/abs/2103.00841

Forward: activations ``sign(a)``, weights ``mean|w| sign(w)`` per filter. In training
both get ``alpha eta`` added, weights before their scale: the noise adaptation
``eta(x) = W2 max(0, W1 x) + 0.1 sin(x)``, over the d values of a filter and over the d
channels of a pixel, with d/64 hidden values (d/4 where d < 64) and ``alpha = 0.05 (1 +
cos(pi p))`` at training progress p.
Backward: ``(4 omega/pi) sum_i cos((2i + 1) omega x)`` of 10 sines and up to 19 at the
end, on ``|x| <= 1``, for both; the scale is a constant; eta by backpropagation. With
omega = 0.1 it is 1.3 at 0 at first and 2.4 at the end, and the next step of the square
wave, at ``|x| = 31``, is far away.

Full precision: stem, 1x1 down-sampling shortcuts, batch-norm, the slope of a PReLU
between convolution and batch-norm (one a layer, as in the authors' network),
classifier; in training the noise adaptation, which deployed networks lack: alpha ends
at 0, and evaluation leaves it out at all times.

Published: 60.2 % on ImageNet, ResNet-18 (remembered of the paper, whose tables were not
at hand).

The authors' own code (MindSpore's models, research/cv/FDA-BNN) only evaluates, with one
scale a layer. Formulas of training are BiBench's, by other authors, which moves alpha
and the number of sines once an epoch, here each step, and evaluates with the noise.

Checked: one 3x3 layer of 64 and of 12 channels against ``FDAConv2d`` of
github.com/htqin/BiBench, commit 5a04a6d, at progress 0, 0.5 and 1, with and without
noise: output and gradients of input, weights and both noise adaptations at most 5.0e-14
apart in float64 (of values up to 65), 2.7e-5 in float32 (of 56): order of summation,
and the sum of cosines in closed form. At exact zeros it gives 0, here +1; with a recent
torch its module of fewer than 64 channels has no hidden value at all.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from cmim.functional.fourier_sign import (
    OMEGA,
    fourier_sign,
    fourier_terms,
    noise_adaptation,
    noise_share,
)
from cmim.functional.sign import sign
from cmim.functional.weight_scale import mean_abs_per_filter
from cmim.methods.binarizer import ScaledSignWeight, TwoLevelActivation
from cmim.methods.method import Method
from cmim.methods.output_scale import OutputPReLU
from cmim.methods.schedule import Scheduled


class NoiseAdaptation(nn.Module):
    """``W2 max(0, W1 x) + 0.1 sin(x)`` over the last dimension.

    Args:
        size: d, values of the last dimension.

    Shape:
        ``(..., d)`` to the same shape.

    Examples:
        >>> {n: tuple(p.shape) for n, p in NoiseAdaptation(128).named_parameters()}
        {'reduce': (2, 128), 'expand': (128, 2)}
        >>> NoiseAdaptation(12).reduce.shape
        torch.Size([3, 12])
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        hidden = max(1, size // (64 if size >= 64 else 4))
        self.reduce = nn.Parameter(torch.empty(hidden, size))
        self.expand = nn.Parameter(torch.empty(size, hidden))
        for weight in (self.reduce, self.expand):
            nn.init.kaiming_uniform_(weight, a=5**0.5)

    def forward(self, x: Tensor) -> Tensor:
        return noise_adaptation(x, self.reduce, self.expand)


class FdaActivation(Scheduled, TwoLevelActivation):
    """``sign(a)`` with the gradient of its first sines, and noise in training.

    Args:
        channels: C.
        omega: Frequency of the first sine.
        noise: Add the noise adaptation of each pixel's channels in training.

    Shape:
        ``(N, C, *)`` to the same shape.

    Examples:
        >>> FdaActivation(2, 0.1, True).eval()(torch.tensor([[-0.3, 0.0]])).tolist()
        [[-1.0, 1.0]]
    """

    training_only = ("noise",)

    def __init__(self, channels: int, omega: float, noise: bool) -> None:
        super().__init__()
        self.omega = omega
        self.noise = NoiseAdaptation(channels) if noise else None
        self.soft_training = noise

    def forward(self, x: Tensor) -> Tensor:
        codes = fourier_sign(x, fourier_terms(self.progress), self.omega)
        if self.noise is None or not self.training:
            return codes
        noise = self.noise(x.movedim(1, -1)).movedim(-1, 1)
        return codes + noise_share(self.progress) * noise

    def threshold(self) -> Tensor:
        return torch.zeros(())

    def extra_repr(self) -> str:
        return f"omega={self.omega}"


class FdaWeight(Scheduled, ScaledSignWeight):
    """``mean|w| sign(w)`` with the gradient of its first sines, and noise in training.

    Args:
        size: Weights of a filter.
        omega: Frequency of the first sine.
        noise: Add the noise adaptation of each filter in training.

    Shape:
        ``(O, I, kh, kw)`` to the same shape.

    Examples:
        >>> FdaWeight(2, 0.1, True).eval()(torch.tensor([[[[0.5, -1.5]]]])).tolist()
        [[[[1.0, -1.0]]]]
    """

    def __init__(self, size: int, omega: float, noise: bool) -> None:
        super().__init__()
        self.omega = omega
        self.noise = NoiseAdaptation(size) if noise else None

    def forward(self, weight: Tensor) -> Tensor:
        codes = fourier_sign(weight, fourier_terms(self.progress), self.omega)
        if self.noise is not None and self.training:
            noise = self.noise(weight.flatten(1)).view_as(weight)
            codes = codes + noise_share(self.progress) * noise
        return self.scale(weight) * codes

    def sign(self, weight: Tensor) -> Tensor:
        return sign(weight.detach())

    def scale(self, weight: Tensor) -> Tensor:
        return mean_abs_per_filter(weight.detach())

    def extra_repr(self) -> str:
        return f"omega={self.omega}"


def METHOD(omega: float = OMEGA, noise: bool = True) -> Method:
    """FDA.

    Args:
        omega: Frequency of the first sine, between 0 and pi.
        noise: Train with the noise adaptation.

    Raises:
        ValueError: A frequency outside (0, pi).

    Examples:
        >>> METHOD(noise=False).activation(8)
        FdaActivation(omega=0.1)
    """
    if not 0 < omega < math.pi:
        raise ValueError(
            f"method 'fda' needs omega between 0 and pi, got {omega}: beyond it a "
            "whole period lies within the window of the gradient"
        )
    return Method(
        name="fda",
        paper="Xu et al., FDA, NeurIPS 2021. https://arxiv.org/abs/2103.00841",
        weight=lambda shape: FdaWeight(math.prod(shape[1:]), omega, noise),
        activation=lambda channels: FdaActivation(channels, omega, noise),
        nonlinearity=lambda channels: nn.Identity(),
        full_precision="stem, down-sampling shortcuts, batch-norm, slope of PReLU, "
        "classifier; in training the noise adaptation",
        output_scale=lambda conv: OutputPReLU(1),
        checked="BiBench (the authors' code only evaluates), output and gradients: "
        "5.0e-14",
        published=60.2,
    )
