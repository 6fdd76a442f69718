"""Atrous spatial pyramid pooling, full precision or binary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmim.layers.conv import (
    integer_levels,
    make_activation,
    make_conv,
    make_output_scale,
)
from cmim.methods import Method, get_method


def conv_bn(
    in_channels: int, out_channels: int, nonlinearity: nn.Module
) -> nn.Sequential:
    """Full-precision 1x1 convolution, batch-norm, non-linearity."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
        nn.BatchNorm2d(out_channels),
        nonlinearity,
    )


class AtrousBranch(nn.Module):
    """Dilated 3x3 convolution with a shortcut around it.

    Args:
        method: Binarizers and non-linearity.
        channels: Input and output channels.
        dilation: Dilation in pixels.

    Shape:
        ``(N, C, H, W)`` to the same shape.
    """

    def __init__(self, method: Method, channels: int, dilation: int) -> None:
        super().__init__()
        self.binarize = make_activation(method, channels)
        levels = integer_levels(self.binarize)
        self.conv = make_conv(
            method, channels, channels, 3, dilation=dilation, levels=levels
        )
        self.scale = make_output_scale(method, self.conv)
        self.bn = nn.BatchNorm2d(channels)
        self.nonlinearity = method.nonlinearity(channels)

    def forward(self, x: Tensor) -> Tensor:
        out = self.scale(self.conv(self.binarize(x)), x)
        return self.nonlinearity(x + self.bn(out))


class JoinedMaps(nn.Module):
    r"""Joins feature maps by 1x1 convolutions that a method binarizes.

    .. math:: y = f\big(\mathrm{mean}_k\, x_k + p +
        \mathrm{BN}(\textstyle\sum_k W_k * b(x_k))\big)

    One convolution of all maps side by side, written as a sum, with their mean as the
    shortcut that real values take; p is real too: pooled features, of one pixel, carry
    no information in their signs.

    Args:
        method: Binarizers b and non-linearity f.
        channels: Channels of each map and of the output.
        count: How many maps.

    Shape:
        maps ``(N, C, H, W)`` each and ``(N, C, 1, 1)`` to ``(N, C, H, W)``.
    """

    def __init__(self, method: Method, channels: int, count: int) -> None:
        super().__init__()
        binarizers = [make_activation(method, channels) for _ in range(count)]
        convs = [
            make_conv(method, channels, channels, 1, levels=integer_levels(binarizer))
            for binarizer in binarizers
        ]
        self.binarize, self.conv = nn.ModuleList(binarizers), nn.ModuleList(convs)
        self.scale = nn.ModuleList(make_output_scale(method, conv) for conv in convs)
        self.bn = nn.BatchNorm2d(channels)
        self.nonlinearity = method.nonlinearity(channels)

    def forward(self, maps: Sequence[Tensor], pooled: Tensor) -> Tensor:
        total: Tensor | int = 0
        parts = zip(self.binarize, self.conv, self.scale, maps, strict=True)
        for binarize, conv, scale, x in parts:
            total = total + scale(conv(binarize(x)), x)
        mean = sum(maps[1:], maps[0]) / len(maps)
        return self.nonlinearity(mean + pooled + self.bn(total))


class ASPP(nn.Module):
    """A full-precision 1x1 reduction, atrous branches, image pooling, a 1x1 projection.

    The atrous 3x3 convolutions, where DeepLab's head spends its time, work on the
    reduced channels and are binarized by ``method``; the first and last layers stay
    full precision. Dilations larger than the feature map see only padding besides
    their centre, as in DeepLab.

    The projection reads all branches: at full precision it takes longer than all
    binary branches together. ``binary_projection`` puts a :class:`JoinedMaps` in its
    place.

    Args:
        in_channels: Input channels.
        channels: Channels of every branch and of the output.
        dilations: Dilation of each atrous branch in feature pixels.
        method: Name of a binarization method, or dict with options; ``'fp'`` for full
            precision.
        binary_projection: Let ``method`` binarize the projection too.

    Shape:
        ``(N, I, H, W)`` to ``(N, C, H, W)``.

    References:
        Chen et al., Rethinking Atrous Convolution for Semantic Image Segmentation,
        2017. https://arxiv.org/abs/1706.05587

    Examples:
        >>> ASPP(8, 4, (1, 2))(torch.zeros(2, 8, 5, 6)).shape
        torch.Size([2, 4, 5, 6])
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        dilations: Sequence[int] = (6, 12, 18),
        method: str | dict = "fp",
        binary_projection: bool = False,
    ) -> None:
        super().__init__()
        chosen = get_method(method)
        # The method's own non-linearity: behind a ReLU all signs would be +1.
        self.reduce = conv_bn(in_channels, channels, chosen.nonlinearity(channels))
        self.branches = nn.ModuleList(
            AtrousBranch(chosen, channels, dilation) for dilation in dilations
        )
        # No batch-norm here: one value an image and channel gives it no statistics.
        self.image_pool = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, channels, 1), nn.ReLU()
        )
        count = len(dilations) + 1
        self.project = (
            JoinedMaps(chosen, channels, count)
            if binary_projection
            else conv_bn((count + 1) * channels, channels, nn.ReLU())
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.reduce(x)
        pooled = self.image_pool(x)
        maps = [x, *(branch(x) for branch in self.branches)]
        if isinstance(self.project, JoinedMaps):
            return self.project(maps, pooled)
        wide = pooled.expand(-1, -1, *x.shape[2:])
        return self.project(torch.cat([*maps, wide], dim=1))


def upsample(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear resize of ``(N, C, H, W)`` to ``size``, pixel centres aligned."""
    return F.interpolate(x, size, mode="bilinear", align_corners=False)


def full_size(output: Tensor, samples: list) -> Iterator[tuple[Any, Tensor]]:
    """Each sample with its prediction ``(C, H, W)`` at its original resolution."""
    for i, sample in enumerate(samples):
        yield sample, upsample(output[i : i + 1], tuple(sample.ori_shape[:2]))[0]
