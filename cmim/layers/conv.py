"""Convolution with binary weights."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from cmim.functional.code_conv import code_conv2d
from cmim.methods import Method, OutputScale, TwoLevelActivation, WeightBinarizer


class BinaryConv2d(nn.Conv2d):
    r"""Two-dimensional convolution whose weights are ``scale * sign(w)``, or a sum.

    The latent real weights are the parameter (named ``weight``, so that plain
    ``nn.Conv2d`` weights load). Borders are padded with true zeros, not with a sign.
    In evaluation without gradients the binary weights are computed once and reused
    until the latent weights change; the cached tensor is not part of the state. A
    change in place through ``weight.data`` leaves no trace: call ``eval()`` after it.

    Under bfloat16 autocast products of signs and their sums inside the kernel (float32)
    are exact; the output is then stored in bfloat16, which is exact up to 256 in
    magnitude and rounded to steps of 2 up to 512, of 4 up to 1024, and so on (3x3 x 64
    channels reach 576). A scale that is no power of two is rounded to bfloat16 (by up
    to 0.2 %) before it is multiplied, and gradients are bfloat16 as in any layer.

    Args:
        in_channels: Input channels.
        out_channels: Output channels.
        kernel_size: Side of the square kernel in pixels.
        weight_binarizer: Gives the binary weights and their surrogate gradient.
        stride: Stride in pixels.
        padding: Zero padding in pixels.
        dilation: Dilation in pixels.
        levels: The two integers that the input holds, of which one bit each is then
            kept for the backward pass; None (any input) keeps the input.

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
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        weight_binarizer: WeightBinarizer,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        levels: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            bias=False,
        )
        self.weight_binarizer = weight_binarizer
        self.levels = levels
        self._cached: tuple[list[tuple[int, int]], list[Tensor], Tensor] | None = None

    def binary_weight(self) -> Tensor:
        """What the input is convolved with, ``(O, I, kh, kw)``."""
        weight = self.weight
        # Inference tensors have no version, so their updates cannot be seen.
        if self.training or torch.is_grad_enabled() or weight.is_inference():
            self._cached = None
            return self.weight_binarizer(weight)
        sources = [weight, *self.weight_binarizer.state_dict(keep_vars=True).values()]
        # data_ptr sees .to(device) and .data = ..., _version sees in-place updates.
        key = [(source.data_ptr(), source._version) for source in sources]
        if self._cached is None or self._cached[0] != key:
            # The aliases keep the memory, so that nothing else gets its address.
            aliases = [source.detach() for source in sources]
            self._cached = (key, aliases, self.weight_binarizer(weight))
        return self._cached[2]

    def train(self, mode: bool = True) -> BinaryConv2d:
        self._cached = None
        return super().train(mode)

    def forward(self, x: Tensor) -> Tensor:
        weight = self.binary_weight()
        if self.levels is not None and weight.requires_grad:
            padding = cast(tuple[int, ...], self.padding)
            return code_conv2d(
                x, weight, self.levels, self.stride, padding, self.dilation
            )
        return self._conv_forward(x, weight, None)

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_cached": None}


def make_conv(
    method: Method,
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    stride: int = 1,
    dilation: int = 1,
    levels: tuple[int, int] | None = None,
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
            bias=False,
        )
    return BinaryConv2d(
        in_channels,
        out_channels,
        kernel_size,
        method.weight((out_channels, in_channels, kernel_size, kernel_size)),
        stride=stride,
        padding=padding,
        dilation=dilation,
        levels=levels,
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
