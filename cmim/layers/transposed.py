"""Transposed convolution with binary weights."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from cmim.layers.binary_weights import BinaryWeightLayer, choose_binarizer
from cmim.methods import Method, WeightBinarizer


class BinaryConvTranspose2d(BinaryWeightLayer, nn.ConvTranspose2d):
    """Transposed convolution whose weights are ``scale * sign(w)``, or a sum.

    torch keeps its weights as ``(I, O, kh, kw)``; a filter, with a scale of its own, is
    what gives one output channel, so binarizers see them as ``(O, I, kh, kw)``. It is
    trained like any binary layer and has no exported form: engines multiply bits in
    plain convolutions only.

    Args:
        in_channels: Input channels.
        out_channels: Output channels.
        kernel_size: Side of the square kernel in pixels, or its height and width.
        weight_binarizer: Gives the binary weights and their surrogate gradient; that of
            ``method`` when None.
        stride: Output pixels per input pixel, along one side.
        padding: As torch's: pixels that are cut off at each side of the output.
        output_padding: Rows and columns added at one side of the output.
        dilation: Dilation in pixels.
        levels: The two integers that the input holds; None for any.
        method: A method or its name, in place of ``weight_binarizer``.

    Raises:
        ValueError: Neither or both of ``weight_binarizer`` and ``method``, or a method
            that keeps its weights in full precision.

    Shape:
        ``(N, I, H, W)`` to ``(N, O, H', W')``, as torch's.

    Examples:
        >>> layer = BinaryConvTranspose2d(1, 1, 2, method="bireal", stride=2)
        >>> _ = layer.weight.data.copy_(torch.tensor([[[[1.0, -1], [1, 1]]]]))
        >>> layer(torch.ones(1, 1, 1, 1)).tolist()
        [[[[1.0, -1.0], [1.0, 1.0]]]]
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        weight_binarizer: WeightBinarizer | None = None,
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        output_padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        levels: tuple[int, int] | None = None,
        method: str | dict | Method | None = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=padding,
            output_padding=output_padding,
            dilation=dilation,
            bias=False,
        )
        self.weight_binarizer = choose_binarizer(self, weight_binarizer, method)
        self.levels = levels

    def filters(self) -> Tensor:
        return self.weight.transpose(0, 1)

    def _binarized(self) -> Tensor:
        return self.weight_binarizer(self.filters()).transpose(0, 1)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        return self._transposed(x, self.binary_weight())

    def latent_forward(self, x: Tensor) -> Tensor:
        return self._transposed(x, self.weight)

    def _transposed(self, x: Tensor, weight: Tensor) -> Tensor:
        return nn.functional.conv_transpose2d(
            x,
            weight,
            None,
            self.stride,
            cast(tuple[int, ...], self.padding),
            self.output_padding,
            1,
            self.dilation,
        )

    def plain_layer(self) -> nn.ConvTranspose2d:
        with torch.no_grad():
            weight = self.binary_weight()
        plain = nn.ConvTranspose2d(self.in_channels, self.out_channels, 1, bias=False)
        for name in ("kernel_size", "stride", "padding", "output_padding", "dilation"):
            setattr(plain, name, getattr(self, name))
        plain.weight = nn.Parameter(weight, requires_grad=False)
        return plain.eval()
