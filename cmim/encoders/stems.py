"""Stems of stride 4 that cost less than a 7x7 convolution of stride 2."""

from __future__ import annotations

from torch import nn


def paired_stem(bands: int, width: int) -> nn.Sequential:
    """Two 3x3 convolutions of stride 2, batch-norm and ReLU between them.

    Half of the channels lie between them. Without the last batch-norm.

    Args:
        bands: Of the pictures.
        width: Channels of the output, at least 2.

    Shape:
        ``(N, bands, H, W)`` to ``(N, width, ceil(H / 4), ceil(W / 4))``.

    Raises:
        ValueError: Less than two channels.

    Examples:
        >>> import torch
        >>> paired_stem(3, 8)(torch.zeros(2, 3, 9, 8)).shape
        torch.Size([2, 8, 3, 2])
    """
    if width < 2:
        raise ValueError(
            f"base_channels {width} is too narrow for stem='pair', which has half of "
            "them inside: give at least 2"
        )
    inside = width // 2
    return nn.Sequential(
        nn.Conv2d(bands, inside, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(inside),
        nn.ReLU(),
        nn.Conv2d(inside, width, 3, stride=2, padding=1, bias=False),
    )


def grouped_stem(bands: int, width: int) -> nn.Sequential:
    """QuickNet's: 3x3 of stride 2, depth-wise 3x3 of stride 2, and 1x1.

    A quarter of the channels lies in front of the 1x1 convolution. The batch-norm
    behind the depth-wise convolution has neither scale nor shift, as the next one has
    both. Without the last batch-norm.

    Args:
        bands: Of the pictures.
        width: Channels of the output, a multiple of 4.

    Shape:
        ``(N, bands, H, W)`` to ``(N, width, ceil(H / 4), ceil(W / 4))``.

    Raises:
        ValueError: Channels that four does not divide.

    References:
        Bannink et al., Larq Compute Engine, MLSys 2021, Section 5.
        https://arxiv.org/abs/2011.09398

    Examples:
        >>> stem = grouped_stem(3, 64)
        >>> [tuple(p.shape) for p in stem.parameters() if p.dim() == 4]
        [(16, 3, 3, 3), (16, 1, 3, 3), (64, 16, 1, 1)]
    """
    if width < 1 or width % 4:
        raise ValueError(
            f"base_channels {width} is not a multiple of 4: QuickNet's stem has a "
            "quarter of them inside"
        )
    inside = width // 4
    return nn.Sequential(
        nn.Conv2d(bands, inside, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(inside),
        nn.ReLU(),
        nn.Conv2d(inside, inside, 3, stride=2, padding=1, groups=inside, bias=False),
        nn.BatchNorm2d(inside, affine=False),
        nn.Conv2d(inside, width, 1, bias=False),
    )
