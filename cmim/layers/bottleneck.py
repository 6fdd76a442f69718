"""The bottleneck block of deep residual networks."""

from __future__ import annotations

from torch import Tensor, nn

from cmim.layers.block import make_downsample, require_shortcuts
from cmim.layers.conv import (
    integer_levels,
    make_activation,
    make_conv,
    make_output_scale,
)
from cmim.methods import Method
from cmim.methods.additions.bidense_bypass import ChannelAdaptiveBypass


class Bottleneck(nn.Module):
    r"""A 1x1, a 3x3 and a 1x1 convolution, the last with four times the channels.

    .. math::
        h_1 = g_1(S_1(x) + u_1(x)), \quad h_2 = g_2(S_2(h_1) + u_2(h_1)), \quad
        y = g_3(S(x) + u_3(h_2))

    with :math:`u_k(z) = B_k(s_k(w_k * b_k(z), z))` and the names of
    :class:`cmim.layers.BasicBlock`. ``per_block`` has S alone, and is torchvision's
    block in full precision. With ``per_conv`` each convolution that keeps the number
    of its channels has a shortcut of its own without parameters: the 3x3 (a mean over
    ``stride x stride`` pixels where it strides) always, the first 1x1 only where a
    network begins, since elsewhere it divides the channels by four and the real values
    have nowhere to go. The last 1x1 has the block's shortcut, which reads x.

    The stride is that of the 3x3 convolution, as in torchvision (ResNet "v1.5").

    Args:
        method: Binarizers and non-linearity.
        in_channels: Input channels.
        width: Channels of the 3x3 convolution; the output has four times as many.
        stride: Stride of the 3x3 convolution in pixels.
        dilation: Dilation of the 3x3 convolution in pixels.
        shortcuts: ``'per_conv'`` or ``'per_block'`` (ResNet).
        downsample: The block's shortcut where the shape changes, see
            :func:`cmim.layers.block.make_downsample`.

    Shape:
        ``(N, I, H, W)`` to ``(N, 4 width, ceil(H / stride), ceil(W / stride))``.

    Raises:
        ValueError: Unknown ``shortcuts`` or ``downsample``.

    References:
        He et al., CVPR 2016, Fig. 5. https://arxiv.org/abs/1512.03385

    Examples:
        >>> import torch
        >>> from cmim.methods import get_method
        >>> block = Bottleneck(get_method("bireal"), 8, 4, stride=2)
        >>> block(torch.zeros(1, 8, 5, 6)).shape
        torch.Size([1, 16, 3, 3])
    """

    # Output channels over the width.
    expansion = 4

    def __init__(
        self,
        method: Method,
        in_channels: int,
        width: int,
        stride: int = 1,
        dilation: int = 1,
        shortcuts: str = "per_conv",
        downsample: str = "projection",
    ) -> None:
        super().__init__()
        self.shortcuts = require_shortcuts(shortcuts)
        per_conv = shortcuts == "per_conv"
        out_channels = self.expansion * width
        self._add_convolution(1, method, in_channels, width, 1)
        self._add_convolution(2, method, width, width, 3, stride, dilation)
        self._add_convolution(3, method, width, out_channels, 1)
        self.shortcut1: nn.Module | None = None
        self.shortcut2: nn.Module | None = None
        if per_conv and in_channels == width:
            self.shortcut1 = nn.Identity()
        if per_conv:
            self.shortcut2 = ChannelAdaptiveBypass(width, width, stride)
        self.downsample = make_downsample(
            method, in_channels, out_channels, stride, downsample, average=per_conv
        )

    def _add_convolution(
        self,
        k: int,
        method: Method,
        in_channels: int,
        out_channels: int,
        size: int,
        stride: int = 1,
        dilation: int = 1,
    ) -> None:
        binarize = make_activation(method, in_channels)
        levels = integer_levels(binarize)
        conv = make_conv(
            method, in_channels, out_channels, size, stride, dilation, levels
        )
        self.add_module(f"binarize{k}", binarize)
        self.add_module(f"conv{k}", conv)
        self.add_module(f"scale{k}", make_output_scale(method, conv))
        self.add_module(f"bn{k}", nn.BatchNorm2d(out_channels))
        self.add_module(f"nonlinearity{k}", method.nonlinearity(out_channels))

    def _convolve(self, k: int, x: Tensor, shortcut: Tensor | None) -> Tensor:
        out = self.get_submodule(f"conv{k}")(self.get_submodule(f"binarize{k}")(x))
        out = self.get_submodule(f"bn{k}")(self.get_submodule(f"scale{k}")(out, x))
        if shortcut is not None:
            out = out + shortcut
        return self.get_submodule(f"nonlinearity{k}")(out)

    def extra_repr(self) -> str:
        return f"shortcuts={self.shortcuts}"

    def forward(self, x: Tensor) -> Tensor:
        out = x
        for k, inner in enumerate((self.shortcut1, self.shortcut2), start=1):
            out = self._convolve(k, out, None if inner is None else inner(out))
        return self._convolve(3, out, self.downsample(x))
