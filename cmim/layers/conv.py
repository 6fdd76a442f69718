"""Convolution with binary weights."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from cmim.functional.code_conv import code_conv2d
from cmim.layers.binary_weights import BinaryWeightLayer, choose_binarizer
from cmim.methods import (
    Method,
    OutputScale,
    TwoLevelActivation,
    WeightBinarizer,
)


class BinaryConv2d(BinaryWeightLayer, nn.Conv2d):
    r"""Two-dimensional convolution whose weights are ``scale * sign(w)``, or a sum.

    Its input stays as it is: an activation binarizer in front, or a whole
    :class:`cmim.layers.BinaryUnit`, binarizes it. Borders are padded with true zeros,
    not with a sign. Latent weights and caching are those of every
    :class:`BinaryWeightLayer`.

    Under bfloat16 autocast products of signs and their sums inside the kernel (float32)
    are exact; the output is then stored in bfloat16, which is exact up to 256 in
    magnitude and rounded to steps of 2 up to 512, of 4 up to 1024, and so on (3x3 x 64
    channels reach 576). A scale that is no power of two is rounded to bfloat16 (by up
    to 0.2 %) before it is multiplied, and gradients are bfloat16 as in any layer.

    Args:
        in_channels: Input channels.
        out_channels: Output channels.
        kernel_size: Side of the square kernel in pixels, or its height and width.
        weight_binarizer: Gives the binary weights and their surrogate gradient; that of
            ``method`` when None.
        stride: Stride in pixels.
        padding: Zero padding in pixels.
        dilation: Dilation in pixels.
        groups: Groups of channels that are convolved apart; as many as channels is a
            depth-wise convolution.
        levels: The two integers that the input holds, of which one bit each is then
            kept for the backward pass; None (any input) keeps the input.
        method: A method or its name, in place of ``weight_binarizer``.

    Raises:
        ValueError: Neither or both of ``weight_binarizer`` and ``method``, or a method
            that keeps its weights in full precision.

    Shape:
        ``(N, I, H, W)`` to ``(N, O, H', W')``; the input is expected to be binary
        already (see :class:`cmim.methods.ActivationBinarizer`), except where a method
        binarizes weights only.

    Examples:
        >>> from cmim.methods import get_method
        >>> conv = BinaryConv2d(2, 1, 1, get_method("bireal").weight((1, 2, 1, 1)))
        >>> _ = conv.weight.data.copy_(torch.tensor([[[[0.5]], [[-0.25]]]]))
        >>> conv(torch.ones(1, 2, 1, 1)).item()  # 0.375 - 0.375
        0.0
        >>> conv = BinaryConv2d(64, 64, 3, method="reactnet", padding=1)
        >>> conv(torch.ones(1, 64, 5, 5)).shape
        torch.Size([1, 64, 5, 5])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        weight_binarizer: WeightBinarizer | None = None,
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        levels: tuple[int, int] | None = None,
        method: str | dict | Method | None = None,
        groups: int = 1,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
            bias=False,
        )
        self.weight_binarizer = choose_binarizer(self, weight_binarizer, method)
        self.levels = levels

    def forward(self, x: Tensor) -> Tensor:
        weight = self.binary_weight()
        if self.levels is not None and weight.requires_grad and self.groups == 1:
            padding = cast(tuple[int, ...], self.padding)
            return code_conv2d(
                x, weight, self.levels, self.stride, padding, self.dilation
            )
        return self._conv_forward(x, weight, None)

    def latent_forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, self.weight, None)

    def plain_layer(self) -> nn.Conv2d:
        with torch.no_grad():
            weight = self.binary_weight()
        plain = nn.Conv2d(self.in_channels, self.out_channels, 1, bias=False)
        for name in ("kernel_size", "stride", "padding", "dilation", "groups"):
            setattr(plain, name, getattr(self, name))
        plain.weight = nn.Parameter(weight, requires_grad=False)
        return plain.eval()


def make_conv(
    method: Method,
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    stride: int = 1,
    dilation: int = 1,
    levels: tuple[int, int] | None = None,
    groups: int = 1,
) -> nn.Conv2d:
    """Convolution of a method with "same" padding: binary, or plain for full precision.

    Args:
        method: Which weight binarizer to use.
        in_channels: Input channels.
        out_channels: Output channels.
        kernel_size: Odd side of the square kernel in pixels.
        stride: Stride in pixels.
        dilation: Dilation in pixels.
        levels: See :class:`BinaryConv2d`.
        groups: Groups of channels that are convolved apart.

    Examples:
        >>> from cmim.methods import get_method
        >>> type(make_conv(get_method("fp"), 3, 8, 3)).__name__
        'Conv2d'
    """
    padding = dilation * (kernel_size // 2)
    if method.weight is None:
        return nn.Conv2d(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
            bias=False,
        )
    shape = (out_channels, in_channels // groups, kernel_size, kernel_size)
    return BinaryConv2d(
        in_channels,
        out_channels,
        kernel_size,
        method.weight(shape),
        stride=stride,
        padding=padding,
        dilation=dilation,
        levels=levels,
        groups=groups,
    )


def make_activation(method: Method, channels: int) -> nn.Module:
    """Activation binarizer of a method, or the identity for full precision.

    Args:
        method: Which activation binarizer to use.
        channels: Channels of the activation.

    Examples:
        >>> from cmim.methods import get_method
        >>> type(make_activation(get_method("bireal"), 8)).__name__
        'BiRealActivation'
    """
    return nn.Identity() if method.activation is None else method.activation(channels)


def integer_levels(module: nn.Module) -> tuple[int, int] | None:
    """The two integers that a module gives in training and evaluation, or None.

    Args:
        module: What stands in front of a convolution.

    Examples:
        >>> from cmim.methods import get_method
        >>> integer_levels(get_method("dorefa").activation(8))
        (0, 1)
        >>> integer_levels(nn.ReLU())
    """
    if not isinstance(module, TwoLevelActivation) or module.soft_training:
        return None
    low, high = (int(level) for level in module.levels)
    return (low, high) if (low, high) == module.levels else None


class Unscaled(OutputScale):
    """The convolution's output as it is.

    Shape:
        ``(N, O, H', W')`` to the same tensor.

    Examples:
        >>> Unscaled()(torch.ones(1, 1, 1, 1), torch.zeros(1, 3, 1, 1)).item()
        1.0
    """

    def forward(self, out: Tensor, activation: Tensor) -> Tensor:
        return out


def make_output_scale(method: Method, conv: nn.Conv2d) -> OutputScale:
    """Output scale of a method for one convolution, or one that changes nothing.

    Args:
        method: Which output scale to use.
        conv: The convolution that it follows.

    Examples:
        >>> from cmim.methods import get_method
        >>> method = get_method("bireal")
        >>> make_output_scale(method, make_conv(method, 3, 8, 3))
        Unscaled()
    """
    return Unscaled() if method.output_scale is None else method.output_scale(conv)
