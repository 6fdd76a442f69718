"""The block of MobileNetV2, with torchvision's names."""

from __future__ import annotations

from torch import Tensor, nn

from cmim.layers.block import require_shortcuts
from cmim.layers.conv import (
    integer_levels,
    make_activation,
    make_conv,
    make_output_scale,
)
from cmim.methods import Method, get_method
from cmim.methods.additions.bidense_bypass import ChannelAdaptiveBypass


def rectifier(method: Method, channels: int) -> nn.Module:
    """The method's non-linearity, and ReLU6 where that is ReLU, as published.

    Args:
        method: Which non-linearity to use.
        channels: Of its input.

    Examples:
        >>> rectifier(get_method("fp"), 8), rectifier(get_method("bireal"), 8)
        (ReLU6(), Identity())
    """
    made = method.nonlinearity(channels)
    return nn.ReLU6() if isinstance(made, nn.ReLU) else made


class NormalizedConv(nn.Module):
    r"""Binarize, convolve, scale, normalise, add the shortcut, and rectify.

    .. math:: y = g(S(x) + B(s(w * b(x), x)))

    As :class:`cmim.layers.ConvUnit`, whose names it has but for convolution and
    batch-norm: these are ``0`` and ``1``, as in torchvision.

    Args:
        method: Binarizers, output scale and non-linearity.
        in_channels: Input channels.
        out_channels: Output channels.
        kernel_size: Odd side of the square kernel in pixels.
        stride: Stride in pixels.
        dilation: Dilation in pixels.
        groups: Groups of channels that are convolved apart.
        shortcut: Add the input, averaged over ``stride x stride`` pixels and with its
            channels repeated or averaged
            (:func:`cmim.functional.channel_bypass.fit_channels`).

    Shape:
        ``(N, I, H, W)`` to ``(N, O, ceil(H / stride), ceil(W / stride))``.

    Examples:
        >>> import torch
        >>> NormalizedConv(get_method("bnn"), 4, 8, 3, 2)(torch.ones(1, 4, 5, 6)).shape
        torch.Size([1, 8, 3, 3])
    """

    def __init__(
        self,
        method: Method,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        shortcut: bool = False,
    ) -> None:
        super().__init__()
        self.binarize = make_activation(method, in_channels)
        levels = integer_levels(self.binarize)
        conv = make_conv(
            method,
            in_channels,
            out_channels,
            kernel_size,
            stride,
            dilation,
            levels,
            groups,
        )
        self.add_module("0", conv)
        self.add_module("1", nn.BatchNorm2d(out_channels))
        self.scale = make_output_scale(method, conv)
        self.shortcut = (
            ChannelAdaptiveBypass(in_channels, out_channels, stride)
            if shortcut
            else None
        )
        self.nonlinearity = rectifier(method, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        out = self.get_submodule("0")(self.binarize(x))
        out = self.get_submodule("1")(self.scale(out, x))
        if self.shortcut is not None:
            out = self.shortcut(x) + out
        return self.nonlinearity(out)


class InvertedResidual(nn.Module):
    r"""Expand with a 1x1 convolution, filter depth-wise, and project with a 1x1 one.

    .. math:: y = x + B(s(w * b(z), z)), \qquad z = d(e(x))

    with the expansion e and the depth-wise filter d, each a :class:`NormalizedConv`.
    The projection has no non-linearity behind it, as published. x is added where the
    stride is 1 and the channels stay.

    With ``per_conv`` the expansion repeats the channels of its input as its shortcut,
    the filter averages over ``stride x stride`` pixels, and where x is not added the
    projection averages the channels of z in groups: the real values reach the output
    past every convolution, without parameters. ``per_block`` is torchvision's block in
    full precision.

    Args:
        method: Binarizers, output scale and non-linearity.
        in_channels: Input channels I.
        out_channels: Output channels.
        expansion: The filter sees ``expansion * I`` channels; 1 has no expansion.
        stride: Stride of the filter in pixels.
        dilation: Dilation of the filter in pixels.
        shortcuts: ``'per_conv'`` or ``'per_block'``.
        binary_depthwise: Binarize the filter as well.

    Shape:
        ``(N, I, H, W)`` to ``(N, O, ceil(H / stride), ceil(W / stride))``.

    Raises:
        ValueError: Unknown ``shortcuts``.

    References:
        Sandler et al., MobileNetV2, CVPR 2018, Table 1.
        https://arxiv.org/abs/1801.04381

    Examples:
        >>> import torch
        >>> block = InvertedResidual(get_method("bireal"), 4, 8, expansion=6, stride=2)
        >>> block(torch.zeros(1, 4, 5, 6)).shape
        torch.Size([1, 8, 3, 3])
    """

    def __init__(
        self,
        method: Method,
        in_channels: int,
        out_channels: int,
        expansion: int,
        stride: int = 1,
        dilation: int = 1,
        shortcuts: str = "per_conv",
        binary_depthwise: bool = False,
    ) -> None:
        super().__init__()
        self.shortcuts = require_shortcuts(shortcuts)
        per_conv = shortcuts == "per_conv"
        hidden = in_channels * expansion
        self.conv = nn.Sequential()
        if expansion > 1:
            self.conv.append(
                NormalizedConv(method, in_channels, hidden, 1, shortcut=per_conv)
            )
        filtering = NormalizedConv(
            method if binary_depthwise else get_method("fp"),
            hidden,
            hidden,
            3,
            stride,
            dilation,
            groups=hidden,
            shortcut=per_conv,
        )
        filtering.nonlinearity = rectifier(method, hidden)
        self.conv.append(filtering)
        self.binarize = make_activation(method, hidden)
        levels = integer_levels(self.binarize)
        project = make_conv(method, hidden, out_channels, 1, levels=levels)
        self.scale = make_output_scale(method, project)
        self.conv.append(project)
        self.conv.append(nn.BatchNorm2d(out_channels))
        self.keeps_shape = stride == 1 and in_channels == out_channels
        self.shortcut = (
            ChannelAdaptiveBypass(hidden, out_channels, 1)
            if per_conv and not self.keeps_shape
            else None
        )

    def extra_repr(self) -> str:
        return f"shortcuts={self.shortcuts}"

    def forward(self, x: Tensor) -> Tensor:
        *units, project, norm = self.conv
        hidden = x
        for unit in units:
            hidden = unit(hidden)
        out = norm(self.scale(project(self.binarize(hidden)), hidden))
        if self.keeps_shape:
            return x + out
        return out if self.shortcut is None else self.shortcut(hidden) + out
