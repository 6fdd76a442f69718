r"""Ternary Weight Networks: weights with a zero level.

Li, Liu, Ternary Weight Networks, 2016. https://arxiv.org/abs/1605.04711

Forward: weights ``alpha`` where ``w > D``, ``-alpha`` where ``w < -D``, else 0, with
``D = 0.7 mean|w|`` and alpha the mean of ``|w|`` over those beyond D. With
``activations='sign'`` also ``sign(a)``.
Backward: weights the identity, everywhere; activations Bi-Real's ``max(0, 2 - 2|a|)``.

Full precision: activations (the default), stem, 1x1 down-sampling shortcuts,
batch-norm, classifier. The paper's networks have real activations, and so has the
default: its figures belong to them. Nothing is exported as bits then. With signs a
ternary weight is the sum of two binary ones, ``(B_1 + B_2)/2``, so that the exported
layer is exact, and two binary convolutions, which a table of 1-bit methods must say.

The defaults are those of the code released with the paper (Caffe): 0.7, and D and alpha
of the whole layer. The authors' later code (PyTorch) has 0.75, and D and alpha of each
filter: ``factor=0.75, granularity='filter'``. A filter of zeros stays zeros (there
NaN).

Checked: ternary weights against ``Blob::ternarize_data`` of
github.com/fengfu-chris/caffe-twns, commit 51916a4, its CPU code compiled against a
stand-in for the rest of Caffe, with both zeros: at most 2.2e-16 apart in float64 (of
1.18). One 3x3 layer with the later options against ``TernaryConv2d`` of
github.com/Thinklab-SJTU/twns (``cls``), commit 2c192c3: weight gradient equal, output
and input gradient at most 7.1e-15 apart in float64 (of values up to 24), 3.9e-6 in
float32 (of 20): order of summation.

Published: nothing with binary activations.
"""

from __future__ import annotations

from torch import Tensor, nn

from cmim.functional.ternary import ternarize, ternary_terms
from cmim.methods.binarizer import WeightBinarizer
from cmim.methods.bireal import BiRealActivation
from cmim.methods.method import Method

GRANULARITIES = ("layer", "filter")
ACTIVATIONS = ("real", "sign")


class TernaryWeight(WeightBinarizer):
    """``alpha`` times -1, 0 or +1, with the identity as gradient.

    Args:
        factor: Share of the mean magnitude below which a weight is 0, > 0.
        granularity: ``'layer'`` or ``'filter'``: what has its own threshold and scale.

    Shape:
        ``(O, I, kh, kw)`` to the same shape.

    Examples:
        >>> import torch
        >>> weight = torch.tensor([[[[0.5, -2.0, 4.0, 1.5]]]])  # threshold 1.5
        >>> TernaryWeight(0.75, "layer")(weight).tolist()
        [[[[0.0, -3.0, 3.0, 0.0]]]]
    """

    def __init__(self, factor: float, granularity: str) -> None:
        super().__init__()
        self.factor = factor
        self.granularity = granularity

    def forward(self, weight: Tensor) -> Tensor:
        return ternarize(weight, self.factor, self.granularity == "filter")

    def terms(self, weight: Tensor) -> list[tuple[Tensor, Tensor]]:
        return ternary_terms(weight, self.factor, self.granularity == "filter")

    def extra_repr(self) -> str:
        return f"factor={self.factor:g}, granularity={self.granularity!r}"


def METHOD(
    factor: float = 0.7, granularity: str = "layer", activations: str = "real"
) -> Method:
    """Ternary Weight Networks.

    Args:
        factor: Share of the mean magnitude below which a weight is 0, > 0.
        granularity: ``'layer'`` or ``'filter'``: what shares threshold and scale.
        activations: ``'real'``, as in the paper, or ``'sign'``.

    Raises:
        ValueError: A factor that is not positive, or an unknown word.

    Examples:
        >>> METHOD().activation is None, METHOD(activations="sign").activation is None
        (True, False)
    """
    if factor <= 0:
        raise ValueError(f"method 'twn' needs a positive factor, got {factor}")
    for option, value, known in (
        ("granularity", granularity, GRANULARITIES),
        ("activations", activations, ACTIVATIONS),
    ):
        if value not in known:
            raise ValueError(
                f"method 'twn' has no {option} {value!r}; choose from "
                f"{', '.join(known)}"
            )
    real = activations == "real"
    return Method(
        name="twn",
        paper="Li, Liu, Ternary Weight Networks, 2016. https://arxiv.org/abs/1605.04711",
        weight=lambda shape: TernaryWeight(factor, granularity),
        activation=None if real else lambda channels: BiRealActivation(),
        nonlinearity=lambda channels: nn.ReLU() if real else nn.Identity(),
        full_precision=("activations, " if real else "")
        + "stem, down-sampling shortcuts, batch-norm, classifier; weights of two bits",
        checked="caffe-twns, weights: 2.2e-16; twns, layer and gradients: 7.1e-15",
    )
