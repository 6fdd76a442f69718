"""Linear layer with binary weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cmim.layers.binary_weights import BinaryWeightLayer, choose_binarizer
from cmim.methods import Method, WeightBinarizer


class BinaryLinear(BinaryWeightLayer, nn.Linear):
    r"""Linear layer whose weights are ``scale * sign(w)``, or a sum.

    .. math:: y_o = \sum_i \alpha_o \operatorname{sign}(w_{oi}) x_i

    A 1x1 convolution over tokens: method and binarizers see weights
    ``(O, I, 1, 1)``. Its input stays as it is, as with
    :class:`cmim.layers.BinaryConv2d`, and there is no bias.

    Args:
        in_features: Input channels.
        out_features: Output channels.
        weight_binarizer: Gives the binary weights and their surrogate gradient; that of
            ``method`` when None.
        levels: The two integers that the input holds; None for any.
        method: A method or its name, in place of ``weight_binarizer``.

    Raises:
        ValueError: Neither or both of ``weight_binarizer`` and ``method``, or a method
            that keeps its weights in full precision.

    Shape:
        ``(*, I)`` to ``(*, O)``.

    Examples:
        >>> layer = BinaryLinear(2, 1, method="bireal")
        >>> _ = layer.weight.data.copy_(torch.tensor([[0.5, -0.25]]))
        >>> layer(torch.tensor([[1.0, -1.0]])).item()  # 0.375 + 0.375
        0.75
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        weight_binarizer: WeightBinarizer | None = None,
        levels: tuple[int, int] | None = None,
        method: str | dict | Method | None = None,
    ) -> None:
        super().__init__(in_features, out_features, bias=False)
        self.weight_binarizer = choose_binarizer(self, weight_binarizer, method)
        self.levels = levels

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.binary_weight())

    def latent_forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.weight)

    def plain_layer(self) -> nn.Linear:
        with torch.no_grad():
            weight = self.binary_weight()
        plain = nn.Linear(self.in_features, self.out_features, bias=False)
        plain.weight = nn.Parameter(weight, requires_grad=False)
        return plain.eval()
