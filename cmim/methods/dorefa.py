r"""DoReFa-Net: weights and activations of one bit, or of a few.

Zhou, Wu, Ni, Zhou, Wen, Zou, DoReFa-Net: Training Low Bitwidth Convolutional Neural
Networks with Low Bitwidth Gradients, 2016. https://arxiv.org/abs/1606.06160

Forward, one bit: weights ``E|w| sign(w)`` with one scale for the layer; activations
``round(clip(a, 0, 1))`` in {0, 1}. Many binary networks that name DoReFa use
``sign(a)`` in {-1, +1} instead: ``signed=True``.
Forward, k bits: activations ``q_k(clip(a, 0, 1))``, weights ``2 q_k(u) - 1`` with
``u = tanh(w)/(2 max|tanh w|) + 1/2``, where ``q_k`` rounds to ``2^k`` levels. Halves
are rounded up, also with one bit. 32 bits: full precision.
Backward: activations ``1{0 <= a <= 1}``, signed ``1{|a| <= 1}``; one-bit weights the
identity, also past the scale; k-bit weights the identity past the rounding, and on
through tanh and maximum.

Weights of k bits are the sum of k binary ones with scales ``2^b/(2^k - 1)``, for b from
0 to k - 1; activations are that of ``2^k - 1`` steps.

Full precision: stem, 1x1 down-sampling shortcuts, batch-norm, classifier; and the
gradients: the paper's gradient quantization is not offered. The clip is part of the
activation binarizer, so there is no other non-linearity.

Checked: formulas read in the co-author's TensorFlow code (``examples/DoReFa-Net`` of
github.com/tensorpack/tensorpack, ``dorefa.py`` at commit 03f1897), which was not run.
Restated in PyTorch, one 3x3 layer with 2, 4 and 8 bits: output, input and weight
gradient equal in float64 and float32. It rounds halves to even, so there a = 1/2 gives
0 with one bit.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cmim.functional.levels import level_threshold, unit_level, unit_round, unit_weights
from cmim.functional.sign import identity_sign, sign, unit_step
from cmim.functional.weight_scale import mean_abs_per_layer
from cmim.methods.binarizer import (
    ActivationBinarizer,
    ScaledSignWeight,
    Step,
    TwoLevelActivation,
    WeightBinarizer,
)
from cmim.methods.bnn import BnnActivation
from cmim.methods.method import Method

BITS = (*range(1, 9), 32)


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


class DorefaLevels(ActivationBinarizer):
    """``2^k`` levels between 0 and 1 with the gradient ``1{0 <= a <= 1}``.

    Args:
        bits: k, 2 to 8.

    Shape:
        ``(N, C, *)`` to the same shape.

    Examples:
        >>> (3 * DorefaLevels(2)(torch.tensor([[-2.0, 0.4, 0.5]]))).tolist()
        [[0.0, 1.0, 2.0]]
        >>> steps = DorefaLevels(2).steps(torch.zeros(1, 1))
        >>> [round(6 * step.threshold.item(), 4) for step in steps]
        [1.0, 3.0, 5.0]
    """

    even = True

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.bits = bits

    def forward(self, x: Tensor) -> Tensor:
        return unit_round(x, self.bits)

    def steps(self, x: Tensor) -> list[Step]:
        count = 2**self.bits - 1
        levels = torch.arange(1, count + 1, dtype=x.dtype, device=x.device)
        thresholds = torch.as_tensor(level_threshold(levels, self.bits))
        return [Step(threshold, 0.0, 1 / count) for threshold in thresholds]

    def extra_repr(self) -> str:
        return f"bits={self.bits}"


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


class DorefaWeightLevels(WeightBinarizer):
    """``2^k`` levels between -1 and 1; binary weights are the bits of the level.

    Args:
        bits: k, 2 to 8.

    Shape:
        ``(O, I, kh, kw)`` to the same shape.

    Examples:
        >>> binarize = DorefaWeightLevels(2)
        >>> weight = torch.tensor([[[[-1.0, 0.1, 1.0]]]])
        >>> [round(3 * value, 4) for value in binarize(weight).flatten().tolist()]
        [-3.0, 1.0, 3.0]
        >>> [codes.flatten().tolist() for scale, codes in binarize.terms(weight)]
        [[-1.0, -1.0, 1.0], [-1.0, 1.0, 1.0]]
    """

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.bits = bits

    def forward(self, weight: Tensor) -> Tensor:
        return 2 * unit_round(unit_weights(weight), self.bits) - 1

    def terms(self, weight: Tensor) -> list[tuple[Tensor, Tensor]]:
        level = unit_level(unit_weights(weight.detach()), self.bits).int()
        scales = [2**bit / (2**self.bits - 1) for bit in range(self.bits)]
        return [
            (
                weight.new_full((), scale).expand(weight.shape[0], 1, 1, 1),
                ((level >> bit & 1) * 2 - 1).to(weight.dtype),
            )
            for bit, scale in enumerate(scales)
        ]

    def extra_repr(self) -> str:
        return f"bits={self.bits}"


def _weight(bits: int) -> WeightBinarizer:
    return DorefaWeight() if bits == 1 else DorefaWeightLevels(bits)


def _activation(bits: int, signed: bool) -> ActivationBinarizer:
    if bits > 1:
        return DorefaLevels(bits)
    return BnnActivation() if signed else DorefaActivation()


def METHOD(
    signed: bool = False, weight_bits: int = 1, activation_bits: int = 1
) -> Method:
    """DoReFa-Net.

    Args:
        signed: One-bit activations in {-1, +1} instead of the paper's {0, 1}.
        weight_bits: 1 to 8, or 32 for full precision.
        activation_bits: 1 to 8, or 32 for full precision.

    Raises:
        ValueError: Another number of bits, or signed activations of several bits.

    Examples:
        >>> METHOD().activation(8).levels, METHOD(signed=True).activation(8).levels
        ((0.0, 1.0), (-1.0, 1.0))
        >>> METHOD(weight_bits=2, activation_bits=32).weight((8, 4, 3, 3))
        DorefaWeightLevels(bits=2)
    """
    for name, bits in (
        ("weight_bits", weight_bits),
        ("activation_bits", activation_bits),
    ):
        if bits not in BITS:
            raise ValueError(
                f"method 'dorefa' needs {name} from 1 to 8, or 32 for full precision, "
                f"got {bits!r}"
            )
    if signed and activation_bits != 1:
        raise ValueError(
            "method 'dorefa' has signed activations of one bit only, got "
            f"activation_bits={activation_bits}"
        )
    real = [(weight_bits, ", weights"), (activation_bits, ", activations")]
    return Method(
        name="dorefa",
        paper="Zhou et al., DoReFa-Net, 2016. https://arxiv.org/abs/1606.06160",
        weight=None if weight_bits == 32 else lambda shape: _weight(weight_bits),
        activation=None
        if activation_bits == 32
        else lambda channels: _activation(activation_bits, signed),
        nonlinearity=lambda channels: nn.Identity(),
        full_precision="stem, down-sampling shortcuts, batch-norm, classifier"
        + "".join(name for bits, name in real if bits == 32),
        checked="co-author's TensorFlow code restated, not run; differs at halves",
    )
