"""ReActNet-A: MobileNet's outline with binarized 3x3 and 1x1 convolutions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from cmim.encoders.encoder import (
    BinaryEncoder,
    limit_strides,
    require_bands,
    require_channels,
)
from cmim.layers.unit import ConvUnit
from cmim.methods import Method, get_method

# Output channels over the stem's, and stride, of each block; a stage ends before each
# stride but the first.
STAGES = (
    ((2, 1), (4, 2), (4, 1)),
    ((8, 2), (8, 1)),
    ((16, 2), (16, 1), (16, 1), (16, 1), (16, 1), (16, 1)),
    ((32, 2), (32, 1)),
)


class DoublingBlock(nn.Module):
    r"""A 3x3 and a 1x1 convolution, each with a shortcut without parameters.

    .. math::
        h = g_1(P(x) + u_1(x)), \qquad
        y = g_2([h + u_{2,1}(h), \ldots])

    with binarize-convolve-normalise units u, average-pooling P where the stride is 2,
    and the method's non-linearities g. Where the channels double there are two 1x1
    units, each with h as its shortcut, behind one another in the channels.

    Args:
        method: Binarizers and non-linearity.
        in_channels: Input channels.
        out_channels: As many, or twice as many.
        stride: Stride of the 3x3 convolution in pixels.
        dilation: Dilation of the 3x3 convolution in pixels.

    Shape:
        ``(N, I, H, W)`` to ``(N, O, ceil(H / stride), ceil(W / stride))``.
    """

    def __init__(
        self,
        method: Method,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        dilation: int = 1,
    ) -> None:
        super().__init__()
        self.unit1 = ConvUnit(method, in_channels, in_channels, 3, stride, dilation)
        self.pool = (
            nn.AvgPool2d(stride, ceil_mode=True, count_include_pad=False)
            if stride > 1
            else nn.Identity()
        )
        self.nonlinearity1 = method.nonlinearity(in_channels)
        # The units of a pair share the binary input: one binarizer, as published.
        self.unit2 = ConvUnit(method, in_channels, in_channels, 1)
        self.unit3 = None
        if out_channels == 2 * in_channels:
            self.unit3 = ConvUnit(method, in_channels, in_channels, 1)
            self.unit3.binarize = nn.Identity()
        self.nonlinearity2 = method.nonlinearity(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        out = self.nonlinearity1(self.pool(x) + self.unit1(x))
        if self.unit3 is None:
            return self.nonlinearity2(out + self.unit2(out))
        codes = self.unit2.binarize(out)
        halves = [out + u.convolve(codes, out) for u in (self.unit2, self.unit3)]
        return self.nonlinearity2(torch.cat(halves, dim=1))


@MODELS.register_module()
class BinaryMobileNet(BinaryEncoder):
    """ReActNet-A's network: 13 blocks of a 3x3 and a 1x1 convolution.

    The stem is the only full-precision convolution: shortcuts pool and repeat, they do
    not project. As in the released code the stem ends with its batch-norm.

    Args:
        method: Name of a binarization method, or ``dict(name=..., **options)``.
        output_stride: Input pixels per feature pixel of the last stage: 2 to 32.
        dilated: Replace each removed stride by a dilation (DeepLab).
        base_channels: Channels of the stem; stages have 4, 8, 16, 32 times that.
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
        ValueError: Unknown method, output stride or stage; no channels.

    References:
        Liu et al., ReActNet, ECCV 2020, Fig. 4. https://arxiv.org/abs/2003.03488

    Examples:
        >>> net = BinaryMobileNet(base_channels=4)
        >>> [tuple(f.shape) for f in net(torch.zeros(1, 3, 64, 64))]
        [(1, 16, 16, 16), (1, 32, 8, 8), (1, 64, 4, 4), (1, 128, 2, 2)]
    """

    def __init__(
        self,
        method: str | dict = "reactnet",
        output_stride: int | None = None,
        dilated: bool = True,
        base_channels: int = 32,
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
        require_channels(base_channels)
        require_bands(in_channels)
        self.conv1 = nn.Conv2d(
            in_channels, base_channels, 3, stride=2, padding=1, bias=False
        )
        self.bn1 = nn.BatchNorm2d(base_channels)
        designed = [stride for stage in STAGES for _, stride in stage]
        limited = iter(limit_strides(designed, output_stride, stem=2))
        channels, reached = base_channels, 2
        for stage in STAGES:
            layer = nn.Sequential()
            for multiple, _ in stage:
                stride, dilation = next(limited)
                width = multiple * base_channels
                layer.append(
                    DoublingBlock(
                        chosen, channels, width, stride, dilation if dilated else 1
                    )
                )
                channels = width
                reached *= stride
            self.add_stage(layer, channels, reached)
        self.train_part(frozen_stages, norm_eval, recompute_stages)

    def stem(self, x: Tensor) -> Tensor:
        return self.bn1(self.conv1(x))
