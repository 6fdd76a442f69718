r"""ReBNN: learned scales, and latent weights pulled towards what they are binarized to.

Xu, Li, Ma, Lin, Dong, Zhang, Gao, Lu, Resilient Binary Neural Network, AAAI 2023.
https://arxiv.org/abs/2302.00956

Forward: weights ``alpha sign(w)`` with alpha learned for each filter; activations
``sign(a + b_c)`` and RPReLU as in :mod:`cmim.methods.reactnet`.
Backward: activations as Bi-Real's. With the gradient g of the binary weights, weights
``alpha g 1{|w| <= 1} + gamma (w - alpha sign(w))`` and alpha
``sum (g - gamma (w - alpha sign(w))) sign(w)``: the gradients of the loss plus
``gamma/2 |w - alpha sign(w)|^2``, where gamma is the share of the filter's signs that
changed since the step before, times the largest ``|g|`` of the filter.

Full precision: stem, 1x1 down-sampling shortcuts, batch-norm, alpha, RPReLU,
classifier.

This is what the paper states (``form='paper'``); its (and the book's) gradient of the
second term for alpha lacks the minus sign. Its gamma takes the gradient of the step
before, here as in the released code that of the step itself. The signs of the step
before are a buffer, written in each forward pass in training: of two passes with the
same weights the second sees no change. Each process of distributed training takes its
own largest ``|g|``.

The released code computes something else (``form='released'``): weights
``0.02 s sign(w)`` with s = ``|scale|``, gradients ``s g + gamma (w - 0.02 s sign(w))``,
not windowed, and ``sum g w - gamma (w - 0.02 s sign(w)) 0.02 sign(w)`` for s. Its clamp
of gamma to 1e-5 ... 2e-4 has the two bounds in each other's place and gives 2e-4
whatever goes in, so that neither signs nor gradients matter. The published figure is
said of that code; that the paper's form gives it is not established. Its networks start
from the first of ReActNet's two steps (real weights), and learn from a teacher.

alpha starts as ``0.02 |z|`` with normal z in both forms, as released.

Checked: ``form='released'``, which is not the default: one 3x3 layer with its learned
thresholds against ``BiConv``, ``BinaryActivation`` and ``LearnableBias`` of
github.com/SteveTsui/ReBNN (``2_step2_rebnn``), commit 77adc01, also with a gradient
left from the step before: output and weight gradient equal; other gradients at most
1.9e-14 apart in float64 (of values up to 195), 1.5e-5 in float32 (of 222): order of
summation. At zeros it gives 0, here +1. The paper's form was compared with its formulas
alone.

Published: 66.9 % top-1 on ImageNet with ResNet-18, trained in two steps (README of the
released code).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cmim.functional.resilient import (
    changed_share,
    released_resilient_sign,
    resilient_sign,
)
from cmim.functional.sign import sign
from cmim.methods.binarizer import ScaledSignWeight
from cmim.methods.method import Method, Shape
from cmim.methods.reactnet import RPReLU, RSign

FORMS = ("paper", "released")
# Of the scales at the start, and in the released form of the weights themselves.
UNIT = 0.02


class RebnnWeight(ScaledSignWeight):
    """``alpha sign(w)`` with learned alpha, and a pull of w towards it in training.

    Args:
        shape: ``(O, I, kh, kw)`` of the weights.

    Shape:
        ``(O, I, kh, kw)`` to the same shape.

    Examples:
        >>> binarize = RebnnWeight((1, 1, 1, 2))
        >>> _ = binarize.alpha.data.fill_(-0.5)
        >>> binarize(torch.tensor([[[[0.0, -3.0]]]])).tolist()
        [[[[0.5, -0.5]]]]
    """

    before: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.alpha = nn.Parameter(UNIT * torch.randn(shape[0], 1, 1, 1))
        self.register_buffer("before", torch.zeros(shape, dtype=torch.int8))

    def forward(self, weight: Tensor) -> Tensor:
        if not self.training:
            return self.sign(weight) * self.scale(weight)
        codes = sign(weight.detach())
        share = changed_share(self.before, codes)
        self.before.copy_(codes)
        return resilient_sign(weight, self.alpha.abs().to(weight.dtype), share)

    def sign(self, weight: Tensor) -> Tensor:
        return sign(weight.detach())

    def scale(self, weight: Tensor) -> Tensor:
        return self.alpha.detach().abs().to(weight.dtype)


class ReleasedRebnnWeight(ScaledSignWeight):
    """``0.02 |scale| sign(w)`` with the gradients of the released code.

    Args:
        shape: ``(O, I, kh, kw)`` of the weights.

    Shape:
        ``(O, I, kh, kw)`` to the same shape.

    Examples:
        >>> binarize = ReleasedRebnnWeight((1, 1, 1, 2))
        >>> _ = binarize.alpha.data.fill_(-50.0)
        >>> binarize(torch.tensor([[[[0.0, -3.0]]]])).tolist()
        [[[[1.0, -1.0]]]]
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.randn(shape[0], 1, 1, 1))

    def forward(self, weight: Tensor) -> Tensor:
        return released_resilient_sign(weight, self.alpha.abs().to(weight.dtype), UNIT)

    def sign(self, weight: Tensor) -> Tensor:
        return sign(weight.detach())

    def scale(self, weight: Tensor) -> Tensor:
        return UNIT * self.alpha.detach().abs().to(weight.dtype)


def METHOD(form: str = "paper") -> Method:
    """ReBNN.

    Args:
        form: ``'paper'`` or ``'released'``: which gradients and scale.

    Raises:
        ValueError: Another form.

    Examples:
        >>> METHOD(form="released").weight((4, 2, 3, 3))
        ReleasedRebnnWeight()
    """
    if form not in FORMS:
        raise ValueError(
            f"method 'rebnn' has no form {form!r}; choose from {', '.join(FORMS)}"
        )
    return Method(
        name="rebnn",
        paper="Xu et al., ReBNN, AAAI 2023. https://arxiv.org/abs/2302.00956",
        weight=RebnnWeight if form == "paper" else ReleasedRebnnWeight,
        activation=RSign,
        nonlinearity=RPReLU,
        full_precision="stem, down-sampling shortcuts, batch-norm, scales, RPReLU, "
        "classifier",
        checked="ReBNN with form='released', which is not the default: output equal, "
        "gradients: 1.9e-14 (of 195)",
        published=66.9,
    )
