r"""ABC-Net: sums of several binary weights and of several binary activations.

Lin, Zhao, Pan, Towards Accurate Binary Convolutional Neural Network, NIPS 2017.
https://arxiv.org/abs/1711.11294

Forward: weights ``sum_m alpha_m B_m``, ``B_m = sign(w - mean + u_m std)`` with M shifts
``u_m`` evenly from -1 to 1 and alpha by least squares; activations ``sum_n beta_n
A_n``, ``A_n = 2 1{clip(a + v_n, 0, 1) >= 1/2} - 1``, with N shifts v and scales beta
learned for each layer. The convolution of the two sums is the sum of the M N binary
convolutions.
Backward: weights ``sum_m alpha_m``, alpha a constant of the step; activations ``sum_n
beta_n 1{0 <= a + v_n <= 1}``, and the same for v.

Full precision: stem, 1x1 down-sampling shortcuts, batch-norm, alpha, beta and v,
classifier. The clip is part of the activation binarizer, so there is no other
non-linearity.

By default three bases each, nine binary convolutions in one; the paper also has 5 and
5, which are 25. It states mean, deviation and alpha for the weights of the layer, and a
channel-wise form as a refinement; both are here (``granularity``), by filter as the
default, since it has the scales of all filters to fit with. The shifts of the weights,
which the paper also lets be trained, are fixed. A filter of zeros gets no gradient.

Not established: which start of v and beta, which deviation (biased here) and which
granularity the published numbers came from. The start here is our choice: thresholds
``1/2 - v_n`` evenly from -1/2 to 1/2, as activations have both signs, and ``beta_n =
1/N``.

Checked: formulas as remembered from the paper, and against the published unofficial
code that was read, not run (github.com/layog/Accurate-Binary-Convolution-Network,
TensorFlow): same bases with granularity ``'layer'``, same A_n; alpha is learned there
instead of solved for, and gradients are not written out. No code of the authors was
found.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cmim.functional.bases import (
    even_shifts,
    scaled_steps,
    shifted_signs,
    staircase_scales,
    sum_of_bases,
)
from cmim.methods.binarizer import ActivationBinarizer, Step, WeightBinarizer
from cmim.methods.method import Method

GRANULARITIES = ("filter", "layer")


class AbcWeight(WeightBinarizer):
    """Sum of binary bases, scaled to fit the latent weights best.

    Args:
        bases: M, at least 1.
        granularity: ``'filter'`` or ``'layer'``: what has its own mean, deviation and
            scales.

    Shape:
        ``(O, I, kh, kw)`` to the same shape.

    Examples:
        >>> binarize = AbcWeight(2, "filter")
        >>> weight = torch.tensor([0.0, 1.0, 2.0, 3.0]).view(1, 4, 1, 1)
        >>> binarize(weight).flatten().tolist()
        [-1.5, 1.5, 1.5, 1.5]
        >>> [scale.item() for scale, codes in binarize.terms(weight)]
        [0.0, 1.5]
    """

    def __init__(self, bases: int, granularity: str) -> None:
        super().__init__()
        self.bases = bases
        self.granularity = granularity

    def forward(self, weight: Tensor) -> Tensor:
        scales, codes = zip(*self.terms(weight), strict=True)
        return sum_of_bases(weight, list(scales), list(codes))

    def terms(self, weight: Tensor) -> list[tuple[Tensor, Tensor]]:
        weight, per_filter = weight.detach(), self.granularity == "filter"
        codes = shifted_signs(weight, self.bases, per_filter)
        scales = staircase_scales(weight, codes, per_filter)
        return list(zip(scales, codes, strict=True))

    def extra_repr(self) -> str:
        return f"bases={self.bases}, granularity={self.granularity!r}"


class AbcActivation(ActivationBinarizer):
    """``sum_n beta_n sign(a + v_n - 1/2)`` with learned shifts v and scales beta.

    Args:
        bases: N, at least 1.

    Shape:
        ``(N, C, *)`` to the same shape.

    Examples:
        >>> AbcActivation(2)(torch.tensor([[-0.6, -0.5, 0.4, 0.5]])).tolist()
        [[-1.0, 0.0, 0.0, 1.0]]
    """

    def __init__(self, bases: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(0.5 + 0.5 * torch.tensor(even_shifts(bases)))
        self.scale = nn.Parameter(torch.full((bases,), 1 / bases))

    def forward(self, x: Tensor) -> Tensor:
        return scaled_steps(x, 0.5 - self.shift, self.scale)

    def steps(self, x: Tensor) -> list[Step]:
        thresholds, scales = 0.5 - self.shift.detach(), self.scale.detach()
        return [
            Step(threshold, -scale, scale)
            for threshold, scale in zip(thresholds, scales, strict=True)
        ]

    def extra_repr(self) -> str:
        return f"bases={len(self.scale)}"


def METHOD(
    weight_bases: int = 3, activation_bases: int = 3, granularity: str = "filter"
) -> Method:
    """ABC-Net.

    Args:
        weight_bases: M, binary weights that a weight is the sum of, at least 1.
        activation_bases: N, binary activations that an activation is the sum of.
        granularity: ``'filter'`` or ``'layer'``: what shares alpha.

    Raises:
        ValueError: Fewer than one base, or an unknown granularity.

    Examples:
        >>> METHOD(weight_bases=5).weight((4, 2, 3, 3))
        AbcWeight(bases=5, granularity='filter')
    """
    if weight_bases < 1 or activation_bases < 1:
        raise ValueError(
            "method 'abc_net' needs at least one base, got "
            f"weight_bases={weight_bases} and activation_bases={activation_bases}"
        )
    if granularity not in GRANULARITIES:
        raise ValueError(
            f"method 'abc_net' has no granularity {granularity!r}; "
            f"choose from {', '.join(GRANULARITIES)}"
        )
    return Method(
        name="abc_net",
        paper="Lin et al., ABC-Net, NIPS 2017. https://arxiv.org/abs/1711.11294",
        weight=lambda shape: AbcWeight(weight_bases, granularity),
        activation=lambda channels: AbcActivation(activation_bases),
        nonlinearity=lambda channels: nn.Identity(),
        full_precision="stem, down-sampling shortcuts, batch-norm, scales and shifts "
        "of the bases, classifier",
        checked="unofficial code read, not run; paper's formulas as remembered",
    )
