"""MobileNet: depth-wise 3x3 convolutions, and 1x1 ones that a method binarizes."""

from __future__ import annotations

from collections.abc import Sequence

from mmseg.registry import MODELS
from torch import Tensor, nn

from cmim.encoders.encoder import (
    BinaryEncoder,
    limit_strides,
    require_bands,
    require_channels,
)
from cmim.encoders.mobilenet import STAGES
from cmim.layers.block import require_shortcuts
from cmim.layers.unit import ConvUnit
from cmim.methods import Method, get_method
from cmim.methods.additions.bidense_bypass import ChannelAdaptiveBypass

SHORTCUTS = ("per_conv", "none")


class SeparableBlock(nn.Module):
    r"""A depth-wise 3x3 convolution and a 1x1 one, each with a shortcut or without.

    .. math::
        h = g_1(S_1(x) + d(x)), \qquad y = g_2(S_2(h) + u(h))

    with the depth-wise unit d, the binary 1x1 unit u, the method's non-linearities g
    and shortcuts S without parameters: means over ``stride x stride`` pixels and, where
    the channels double, the channels twice. That is ReActNet's block with the two 1x1
    convolutions of a doubling as one of twice the filters. Without shortcuts and in
    full precision it is MobileNet's.

    Args:
        method: Binarizers and non-linearity.
        in_channels: Input channels.
        out_channels: Output channels.
        stride: Stride of the 3x3 convolution in pixels.
        dilation: Dilation of the 3x3 convolution in pixels.
        shortcuts: ``'per_conv'`` or ``'none'``.
        binary_depthwise: Binarize the 3x3 convolution as well.

    Shape:
        ``(N, I, H, W)`` to ``(N, O, ceil(H / stride), ceil(W / stride))``.

    Raises:
        ValueError: Unknown ``shortcuts``.

    Examples:
        >>> import torch
        >>> block = SeparableBlock(get_method("bireal"), 4, 8, stride=2)
        >>> block(torch.zeros(1, 4, 5, 6)).shape
        torch.Size([1, 8, 3, 3])
    """

    def __init__(
        self,
        method: Method,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        dilation: int = 1,
        shortcuts: str = "per_conv",
        binary_depthwise: bool = False,
    ) -> None:
        super().__init__()
        self.shortcuts = require_shortcuts(shortcuts, SHORTCUTS)
        self.depthwise = ConvUnit(
            method if binary_depthwise else get_method("fp"),
            in_channels,
            in_channels,
            3,
            stride,
            dilation,
            groups=in_channels,
        )
        self.nonlinearity1 = method.nonlinearity(in_channels)
        self.pointwise = ConvUnit(method, in_channels, out_channels, 1)
        self.nonlinearity2 = method.nonlinearity(out_channels)
        self.shortcut1 = ChannelAdaptiveBypass(in_channels, in_channels, stride)
        self.shortcut2 = ChannelAdaptiveBypass(in_channels, out_channels, 1)

    def extra_repr(self) -> str:
        return f"shortcuts={self.shortcuts}"

    def forward(self, x: Tensor) -> Tensor:
        out = self.depthwise(x)
        if self.shortcuts == "per_conv":
            out = out + self.shortcut1(x)
        x = self.nonlinearity1(out)
        out = self.pointwise(x)
        if self.shortcuts == "per_conv":
            out = out + self.shortcut2(x)
        return self.nonlinearity2(out)


@MODELS.register_module()
class BinaryMobileNetV1(BinaryEncoder):
    """MobileNet, whose 1x1 convolutions are binarized by a method chosen by name.

    Stem, depth-wise convolutions and batch-norm stay full precision: a depth-wise
    filter has nine weights, and all depth-wise convolutions are 3 % of the
    multiplications. ReActNet-A, which has full 3x3 convolutions in their place, is
    :class:`cmim.encoders.BinaryMobileNet`.

    Args:
        method: Name of a binarization method, or ``dict(name=..., **options)``.
        output_stride: Input pixels per feature pixel of the last stage: 2 to 32.
        dilated: Replace each removed stride by a dilation (DeepLab).
        base_channels: Channels of the stem; stages have 4, 8, 16, 32 times that. 8, 16
            and 24 are the paper's width multipliers 0.25, 0.5 and 0.75.
        shortcuts: ``'per_conv'`` (ReActNet's, without parameters) or ``'none'`` (as
            published in full precision).
        binary_depthwise: Binarize the depth-wise convolutions as well. Exporting
            refuses them: their groups of one channel are no faster in bits.
        out_indices: Which of the four stages are returned; all when None.
        init_from: Path of a checkpoint of this project for the latent weights.
        init_cfg: mmengine initialisation; Kaiming normal when None.
        in_channels: Bands of the pictures, 3 for RGB.
        frozen_stages: See :meth:`BinaryEncoder.train_part`, likewise the next two.
        norm_eval: Keep batch-norm statistics as they are.
        recompute_stages: Less memory, more time.

    Shape:
        ``(N, in_channels, H, W)`` to a tuple of
        ``(N, C_i, ceil(H / s_i), ceil(W / s_i))``.

    Raises:
        ValueError: Unknown method, shortcut, output stride or stage; no channels.

    References:
        Howard et al., MobileNets, 2017, Table 1. https://arxiv.org/abs/1704.04861

    Examples:
        >>> import torch
        >>> net = BinaryMobileNetV1(base_channels=4)
        >>> [tuple(f.shape) for f in net(torch.zeros(1, 3, 64, 64))]
        [(1, 16, 16, 16), (1, 32, 8, 8), (1, 64, 4, 4), (1, 128, 2, 2)]
    """

    def __init__(
        self,
        method: str | dict = "reactnet",
        output_stride: int | None = None,
        dilated: bool = True,
        base_channels: int = 32,
        shortcuts: str = "per_conv",
        binary_depthwise: bool = False,
        out_indices: Sequence[int] | None = None,
        init_from: str | None = None,
        init_cfg: dict | None = None,
        in_channels: int = 3,
        frozen_stages: int = -1,
        norm_eval: bool = False,
        recompute_stages: bool = False,
    ) -> None:
        super().__init__(len(STAGES), out_indices, init_from, init_cfg)
        chosen = get_method(method)
        base = require_channels(base_channels)
        require_bands(in_channels)
        self.conv1 = nn.Conv2d(in_channels, base, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(base)
        self.nonlinearity = chosen.nonlinearity(base)
        designed = [stride for stage in STAGES for _, stride in stage]
        limited = iter(limit_strides(designed, output_stride, stem=2))
        channels, reached = base, 2
        for stage in STAGES:
            layer = nn.Sequential()
            for multiple, _ in stage:
                stride, dilation = next(limited)
                block = SeparableBlock(
                    chosen,
                    channels,
                    multiple * base,
                    stride,
                    dilation if dilated else 1,
                    shortcuts,
                    binary_depthwise,
                )
                layer.append(block)
                channels = multiple * base
                reached *= stride
            self.add_stage(layer, channels, reached)
        self.train_part(frozen_stages, norm_eval, recompute_stages)

    def stem(self, x: Tensor) -> Tensor:
        return self.nonlinearity(self.bn1(self.conv1(x)))
