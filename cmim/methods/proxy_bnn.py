r"""ProxyBNN: signs of a learned combination of learned basis vectors.

He, Mo, Cheng, Xu, Hu, Wang, Liu, Cheng, ProxyBNN: Learning Binarized Neural Networks
via Proxy Matrices, ECCV 2020. https://doi.org/10.1007/978-3-030-58580-8_14

Forward: activations ``sign(a)``; each filter is the combination ``v = w P`` of the rows
of the layer's proxy matrix P, with the latent weights w as coefficients, and the
weights are ``mean|v| sign(v)`` per filter.
Backward: activations ``1{|a| <= 1}``; weights ``1{|v| <= 1}`` to v, with the scale a
constant, and the true gradients on to w and P.

Full precision: stem, 1x1 down-sampling shortcuts, batch-norm, classifier; in training
the proxy matrices. Deployed are codes and scales.

P starts at the identity, so pretrained weights load and training starts as with plain
signs.

A basis of the whole filter has ``(I k^2)^2`` numbers, 21 million for 512 channels and
k = 3: 9 times the layer (``basis='full'``). The default is the tensor product of a
basis of the input channels and one of the kernel positions, ``I^2 + k^4`` numbers, 11 %
of that layer (``basis='factored'``).

Checked: nothing to run, no code was found; of the text only the abstract was at hand.
It establishes that pre-binarization weights are a linear combination of basis vectors,
that the auxiliary variables are the coefficients, and that both are learned. Not
established, chosen here: which dimensions the basis spans and its size, its start,
whether it is constrained, the scale, the windows of the gradients, and what stands
between the layers. Published figures are not to be expected of it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cmim.functional.linear_combination import linear_combination
from cmim.functional.sign import sign
from cmim.functional.weight_scale import mean_abs_per_filter, scaled_sign
from cmim.methods.binarizer import ScaledSignWeight
from cmim.methods.bnn import BnnActivation
from cmim.methods.method import Method, Shape

BASES = ("factored", "full")


class ProxyWeight(ScaledSignWeight):
    """``mean|v| sign(v)`` of combinations ``v = w P`` with a learned basis P.

    Args:
        shape: ``(O, I, kh, kw)`` of the weights.
        basis: ``'factored'`` or ``'full'``.

    Shape:
        ``(O, I, kh, kw)`` to the same shape.

    Examples:
        >>> binarize = ProxyWeight((1, 2, 1, 1), basis="full")
        >>> weight = torch.tensor([0.5, -0.25]).view(1, 2, 1, 1)
        >>> binarize(weight).flatten().tolist()
        [0.375, -0.375]
        >>> with torch.no_grad():  # Two vectors along (1, 1) and (1, -1).
        ...     _ = binarize.bases[0].copy_(torch.tensor([[1.0, 1.0], [1.0, -1.0]]))
        >>> binarize(weight).flatten().tolist()  # v = (0.25, 0.75)
        [0.5, 0.5]
    """

    def __init__(self, shape: Shape, basis: str) -> None:
        super().__init__()
        self.basis = basis
        channels, positions = shape[1], shape[2] * shape[3]
        self.sizes = (
            (channels * positions,) if basis == "full" else (channels, positions)
        )
        self.bases = nn.ParameterList(torch.eye(size) for size in self.sizes)

    def combine(self, weight: Tensor) -> Tensor:
        """v, real and differentiable, ``(O, I, kh, kw)``."""
        # Autocast would give training other codes than evaluation and export have.
        with torch.autocast(weight.device.type, enabled=False):
            coefficients = weight.reshape(-1, *self.sizes)
            return linear_combination(coefficients, self.bases).reshape(weight.shape)

    def forward(self, weight: Tensor) -> Tensor:
        combined = self.combine(weight)
        return scaled_sign(combined, mean_abs_per_filter(combined.detach()))

    @torch.no_grad()
    def terms(self, weight: Tensor) -> list[tuple[Tensor, Tensor]]:
        combined = self.combine(weight)
        return [(mean_abs_per_filter(combined), sign(combined))]

    def sign(self, weight: Tensor) -> Tensor:
        return self.terms(weight)[0][1]

    def scale(self, weight: Tensor) -> Tensor:
        return self.terms(weight)[0][0]

    def extra_repr(self) -> str:
        return f"basis={self.basis!r}"


def METHOD(basis: str = "factored") -> Method:
    """ProxyBNN.

    Args:
        basis: ``'factored'``: a basis of the input channels times one of the kernel
            positions; ``'full'``: any basis of the filter, for small layers.

    Raises:
        ValueError: Another basis.

    Examples:
        >>> [tuple(p.shape) for p in METHOD().weight((8, 4, 3, 3)).parameters()]
        [(4, 4), (9, 9)]
        >>> [tuple(p.shape) for p in METHOD("full").weight((8, 4, 3, 3)).parameters()]
        [(36, 36)]
    """
    if basis not in BASES:
        raise ValueError(
            f"method 'proxy_bnn' has no basis {basis!r}; choose from {', '.join(BASES)}"
        )
    return Method(
        name="proxy_bnn",
        paper="He et al., ProxyBNN, ECCV 2020. "
        "https://doi.org/10.1007/978-3-030-58580-8_14",
        weight=lambda shape: ProxyWeight(shape, basis),
        activation=lambda channels: BnnActivation(),
        nonlinearity=lambda channels: nn.Identity(),
        full_precision="stem, down-sampling shortcuts, batch-norm, classifier; "
        "in training the proxy matrices",
        checked="no published code; from the abstract, size of the basis, scale and "
        "gradient windows not established",
    )
