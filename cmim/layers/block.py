"""The residual block of binary and full-precision ResNets."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from cmim.layers.conv import (
    integer_levels,
    make_activation,
    make_conv,
    make_output_scale,
)
from cmim.layers.padded_shortcut import PaddedShortcut
from cmim.methods import Method

SHORTCUTS = ("per_conv", "per_block")
DOWNSAMPLES = ("projection", "padding")


def require_shortcuts(shortcuts: str, known: Sequence[str] = SHORTCUTS) -> str:
    """The way in which a block has its shortcuts, if it is known.

    Args:
        shortcuts: The one that was asked for.
        known: Those that the block has.

    Raises:
        ValueError: Another one.
    """
    if shortcuts not in known:
        raise ValueError(
            f"shortcuts {shortcuts!r} is unknown; choose from {', '.join(known)}"
        )
    return shortcuts


class Downsample(nn.Sequential):
    """Full-precision shortcut where the resolution or the channels change.

    ``per_conv`` blocks (Bi-Real Net) average-pool and then project with a 1x1
    convolution; ``per_block`` blocks (plain ResNet) use a strided 1x1 convolution.
    Convolution and batch-norm are children 0 and 1 in both, as in torchvision.

    Args:
        in_channels: Input channels.
        out_channels: Output channels.
        stride: Stride in pixels.
        average: Pool with a ``stride x stride`` mean before the projection.

    Shape:
        ``(N, I, H, W)`` to ``(N, O, ceil(H / stride), ceil(W / stride))``.
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int, average: bool
    ) -> None:
        conv_stride = 1 if average else stride
        super().__init__(
            nn.Conv2d(in_channels, out_channels, 1, stride=conv_stride, bias=False),
            nn.BatchNorm2d(out_channels),
        )
        # ceil_mode keeps odd sizes equal to those of the strided 3x3 convolution.
        self._pool = (
            nn.AvgPool2d(stride, ceil_mode=True, count_include_pad=False)
            if average and stride > 1
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        if self._pool is not None:
            x = self._pool(x)
        return self[1](self[0](x))


def make_downsample(
    method: Method,
    in_channels: int,
    out_channels: int,
    stride: int,
    kind: str,
    average: bool,
) -> nn.Module:
    """The shortcut of a block: the identity, where its shape stays.

    Args:
        method: Its bypass, if it has one, takes the place of ``kind``.
        in_channels: Input channels.
        out_channels: Output channels.
        stride: Stride in pixels.
        kind: ``'projection'`` (:class:`Downsample`) or ``'padding'``
            (:class:`PaddedShortcut`).
        average: Whether a projection pools first, see :class:`Downsample`.

    Raises:
        ValueError: Unknown ``kind``.
    """
    if kind not in DOWNSAMPLES:
        raise ValueError(
            f"downsample {kind!r} is unknown; choose from {', '.join(DOWNSAMPLES)}"
        )
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    if method.bypass is not None:
        return method.bypass(in_channels, out_channels, stride)
    if kind == "padding":
        return PaddedShortcut(in_channels, out_channels, stride)
    return Downsample(in_channels, out_channels, stride, average)


class BasicBlock(nn.Module):
    r"""Two 3x3 convolutions with one shortcut each, or one around both.

    .. math::
        \text{per\_conv:}\quad
        h = g_1(S(x) + B_1(s_1(w_1 * b_1(x)))), \; y = g_2(h + B_2(s_2(w_2 * b_2(h))))

    .. math::
        \text{per\_block:}\quad
        h = g_1(B_1(s_1(w_1 * b_1(x)))), \; y = g_2(S(x) + B_2(s_2(w_2 * b_2(h))))

    with binarizers b, convolutions with binary weights w, batch-norm B, shortcut S (a
    :class:`Downsample` or the method's bypass where shapes change), the method's output
    scale s (the identity for most, which may read the real activation in front of b)
    and its non-linearity g (identity for Bi-Real, ReLU for full precision, where b is
    the identity: ``per_block`` is then torchvision's block).

    Args:
        method: Binarizers and non-linearity.
        in_channels: Input channels.
        out_channels: Output channels.
        stride: Stride of the first convolution in pixels.
        dilation: Dilation of both convolutions in pixels.
        shortcuts: ``'per_conv'`` (Bi-Real Net) or ``'per_block'`` (ResNet).
        downsample: Shortcut where the shape changes: ``'projection'``
            (:class:`Downsample`) or ``'padding'`` (:class:`PaddedShortcut`); a
            method's bypass takes the place of both.

    Shape:
        ``(N, I, H, W)`` to ``(N, O, ceil(H / stride), ceil(W / stride))``.

    Raises:
        ValueError: Unknown ``shortcuts`` or ``downsample``.

    References:
        Liu et al., Bi-Real Net, ECCV 2018, Fig. 3. https://arxiv.org/abs/1808.00278
    """

    # Output channels over the width that it is asked for.
    expansion = 1

    def __init__(
        self,
        method: Method,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        dilation: int = 1,
        shortcuts: str = "per_conv",
        downsample: str = "projection",
    ) -> None:
        super().__init__()
        self.shortcuts = require_shortcuts(shortcuts)
        self.binarize1 = make_activation(method, in_channels)
        levels = integer_levels(self.binarize1)
        self.conv1 = make_conv(
            method, in_channels, out_channels, 3, stride, dilation, levels
        )
        self.scale1 = make_output_scale(method, self.conv1)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.nonlinearity1 = method.nonlinearity(out_channels)
        self.binarize2 = make_activation(method, out_channels)
        levels = integer_levels(self.binarize2)
        self.conv2 = make_conv(
            method, out_channels, out_channels, 3, 1, dilation, levels
        )
        self.scale2 = make_output_scale(method, self.conv2)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.nonlinearity2 = method.nonlinearity(out_channels)
        self.downsample = make_downsample(
            method,
            in_channels,
            out_channels,
            stride,
            kind=downsample,
            average=shortcuts == "per_conv",
        )

    def extra_repr(self) -> str:
        return f"shortcuts={self.shortcuts}"

    def forward(self, x: Tensor) -> Tensor:
        shortcut = self.downsample(x)
        out = self.bn1(self.scale1(self.conv1(self.binarize1(x)), x))
        if self.shortcuts == "per_conv":
            shortcut = out = self.nonlinearity1(out + shortcut)
        else:
            out = self.nonlinearity1(out)
        out = self.bn2(self.scale2(self.conv2(self.binarize2(out)), out))
        return self.nonlinearity2(out + shortcut)
