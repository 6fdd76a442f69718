"""The parameter-free shortcut of CIFAR ResNets."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class PaddedShortcut(nn.Module):
    """Picks every stride-th pixel and adds channels of zeros on both sides.

    Has no parameters and multiplies nothing (option A of He et al.), as in the
    ResNet-20 that binarization papers report.

    Args:
        in_channels: Input channels.
        out_channels: Output channels, not fewer.
        stride: Stride in pixels.

    Shape:
        ``(N, I, H, W)`` to ``(N, O, ceil(H / stride), ceil(W / stride))``.

    Raises:
        ValueError: Fewer output than input channels.

    References:
        He et al., CVPR 2016, Section 4.2. https://arxiv.org/abs/1512.03385

    Examples:
        >>> import torch
        >>> x = torch.arange(4.0).view(1, 1, 2, 2) + 1
        >>> PaddedShortcut(1, 3, 2)(x).flatten().tolist()
        [0.0, 1.0, 0.0]
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        if out_channels < in_channels:
            raise ValueError(
                f"a padded shortcut cannot go from {in_channels} to {out_channels} "
                "channels; use downsample='projection'"
            )
        self.stride = stride
        before = (out_channels - in_channels) // 2
        self.padding = (before, out_channels - in_channels - before)

    def forward(self, x: Tensor) -> Tensor:
        picked = x[:, :, :: self.stride, :: self.stride]
        return F.pad(picked, (0, 0, 0, 0, *self.padding))

    def extra_repr(self) -> str:
        return f"stride={self.stride}, padding={self.padding}"
