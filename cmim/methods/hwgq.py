r"""HWGQ-Net: binary weights, activations at the levels of a half-Gaussian.

Cai, He, Sun, Vasconcelos, Deep Learning with Low Precision by Half-wave Gaussian
Quantization, CVPR 2017. https://arxiv.org/abs/1702.00953

Forward: weights ``mean|w| sign(w)`` per filter; activations 0 for ``a <= 0``, else the
nearest of ``q_1 < ... < q_m``, the levels of least squared error for a Gaussian with
mean 0 and variance 1 behind a ReLU. ``activation_bits`` give ``m = 2^bits - 1``.
Backward: weights the identity, not times the scale; activations those of a clipped ReLU
``1{0 < a <= q_m}`` (the paper's choice), of a ReLU ``1{a > 0}`` (``'vanilla'``), or of
one with a logarithmic tail, ``1/(a - q_m + 1)`` beyond q_m (``'log_tailed'``).

Full precision: stem, 1x1 down-sampling shortcuts, batch-norm, classifier. The ReLU is
part of the quantizer, so there is no other non-linearity.

The levels presuppose batch-norm right before the quantizer. The residual block here has
a shortcut addition there, so the quantizer brings a batch-norm without affine part, as
the released ResNets have it; in evaluation it is folded into the thresholds.
``normalize=False`` leaves it out, and the levels then fit no more than by chance.

Two bits are the default because the paper's networks have them: a convolution costs
two binary ones, which a table of 1-bit methods must say. ``activation_bits=1`` has one
level, ``sqrt(2/pi)``. Uniform levels, multiples of 0.5388, are the default because the
released configurations of all ImageNet networks use them (as 0.538, 1.076, 1.614).
``uniform=False`` gives Lloyd's levels 0.318, 1.000, 1.894. The released non-uniform
ablation has but two, 0.453 and 1.51, which are Lloyd's for m = 2.

Surprises: the first threshold "a > 0" is ``a >= 1.2e-38``, the smallest normal float32,
so that 0.0 and -0.0 give 0. Halfway between two levels the upper one is taken, the
released code takes the lower.

Checked: one 3x3 layer against ``QuantLayer`` and ``BinaryConvolutionLayer`` of
github.com/zhaoweicai/hwgq (Caffe), commit ebc706b, their CPU code compiled against a
stand-in for the rest of Caffe, with both released sets of levels and both zeros: output
and gradients at most 1.5e-14 apart in float64 (of values up to 32), 8.6e-6 in float32
(of 32): order of summation. The iteration gives the released levels, which are rounded,
to 0.0025. The vanilla and the log-tailed surrogate are the paper's formula alone; the
batch-norm in front is read in the released configurations.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from cmim.functional.half_wave import (
    SURROGATES,
    half_gaussian_levels,
    half_wave,
    half_wave_steps,
    sum_of_steps,
)
from cmim.functional.sign import identity_sign, sign
from cmim.functional.weight_scale import mean_abs_per_filter
from cmim.methods.binarizer import ActivationBinarizer, ScaledSignWeight, Step
from cmim.methods.method import Method


class InputNorm(nn.modules.batchnorm._BatchNorm):
    """Batch-norm without affine part for any number of dimensions.

    A batch-norm to torch, so that several processes share its statistics.

    Args:
        channels: C.

    Shape:
        ``(N, C, *)`` to the same shape.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__(channels, affine=False)

    def _check_input_dim(self, input: Tensor) -> None:
        pass


class HwgqActivation(ActivationBinarizer):
    """Rectified activations at a few positive levels and 0.

    Args:
        levels: Positive, rising.
        surrogate: Which rectifier the gradient belongs to.
        channels: Channels that a batch-norm without affine part normalizes first;
            None leaves them as they are.

    Shape:
        ``(N, C, *)`` to the same shape.

    Examples:
        >>> quantize = HwgqActivation((0.5, 1.5), "clipped", None)
        >>> quantize(torch.tensor([[-2.0, 0.0, 0.1, 1.0, 9.0]])).tolist()
        [[0.0, 0.0, 0.5, 1.5, 1.5]]
    """

    def __init__(
        self, levels: tuple[float, ...], surrogate: str, channels: int | None
    ) -> None:
        super().__init__()
        self.levels = levels
        self.surrogate = surrogate
        self.norm = None if channels is None else InputNorm(channels)
        self.even = all(
            math.isclose(level, i * levels[0]) for i, level in enumerate(levels, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        normal = x if self.norm is None else self.norm(x)
        if self.training:
            codes = sum_of_steps(normal, half_wave_steps(self.levels, x.dtype))
        else:
            codes = sum_of_steps(x, [(step[0], step[2]) for step in self.steps(x)])
        return half_wave(normal, codes, self.levels[-1], self.surrogate)

    def steps(self, x: Tensor) -> list[Step]:
        steps = half_wave_steps(self.levels, x.dtype)
        if self.norm is None:
            return [Step(torch.tensor(at, dtype=x.dtype), 0.0, up) for at, up in steps]
        shape = (-1, *[1] * (x.dim() - 2))
        mean = self.norm.running_mean.view(shape)
        deviation = (self.norm.running_var.view(shape) + self.norm.eps).sqrt()
        # "Above the mean", not "from the mean on": a dead channel gives zeros.
        above = mean.nextafter(torch.full_like(mean, torch.inf))
        first = torch.maximum(above, mean + steps[0][0])
        cuts = [first, *(mean + at * deviation for at, _ in steps[1:])]
        return [Step(cut, 0.0, up) for cut, (_, up) in zip(cuts, steps, strict=True)]

    def extra_repr(self) -> str:
        levels = ", ".join(f"{level:.4g}" for level in self.levels)
        return f"levels=({levels}), {self.surrogate}, normalize={self.norm is not None}"


class HwgqWeight(ScaledSignWeight):
    """``mean|w| sign(w)`` per filter with the identity as gradient.

    Shape:
        ``(O, I, kh, kw)`` to the same shape.

    Examples:
        >>> HwgqWeight()(torch.tensor([[[[0.5, -1.5]]]])).tolist()
        [[[[1.0, -1.0]]]]
    """

    def forward(self, weight: Tensor) -> Tensor:
        return identity_sign(weight, self.scale(weight))

    def sign(self, weight: Tensor) -> Tensor:
        return sign(weight.detach())

    def scale(self, weight: Tensor) -> Tensor:
        return mean_abs_per_filter(weight.detach())


def METHOD(
    activation_bits: int = 2,
    uniform: bool = True,
    backward: str = "clipped",
    normalize: bool = True,
) -> Method:
    """HWGQ-Net.

    Args:
        activation_bits: 1 to 4: ``2^bits - 1`` positive levels and 0.
        uniform: Levels are multiples of one step; else Lloyd's.
        backward: ``'clipped'``, ``'vanilla'`` or ``'log_tailed'``.
        normalize: Batch-norm without affine part in front of the quantizer.

    Raises:
        ValueError: Another number of bits or another surrogate.

    Examples:
        >>> METHOD(activation_bits=1, normalize=False).activation(8)
        HwgqActivation(levels=(0.7979), clipped, normalize=False)
    """
    if activation_bits not in (1, 2, 3, 4):
        raise ValueError(
            "method 'hwgq' needs activation_bits of 1, 2, 3 or 4, got "
            f"{activation_bits!r}"
        )
    if backward not in SURROGATES:
        raise ValueError(
            f"method 'hwgq' has no backward {backward!r}; "
            f"choose from {', '.join(SURROGATES)}"
        )
    levels = half_gaussian_levels(2**activation_bits - 1, uniform)
    return Method(
        name="hwgq",
        paper="Cai et al., HWGQ, CVPR 2017. https://arxiv.org/abs/1702.00953",
        weight=lambda shape: HwgqWeight(),
        activation=lambda channels: HwgqActivation(
            levels, backward, channels if normalize else None
        ),
        nonlinearity=lambda channels: nn.Identity(),
        full_precision="stem, down-sampling shortcuts, batch-norm, classifier; "
        f"activations of {activation_bits} bit" + "s" * (activation_bits > 1),
        checked="hwgq (Caffe), output and gradients with its levels: 1.5e-14",
    )
