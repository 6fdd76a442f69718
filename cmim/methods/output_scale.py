"""What a method does to a convolution's output before the batch-norm."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmim.functional.scale_map import box_mean_abs
from cmim.functional.weight_scale import mean_abs_per_filter


class OutputScale(nn.Module, ABC):
    """Scales the output of one convolution.

    Attributes:
        macs: Full-precision multiply-accumulates for a picture in its linear layers.

    Shape:
        ``out`` ``(N, O, H', W')`` and ``activation`` ``(N, I, H, W)`` to ``(N, O, H',
        W')``.
    """

    macs: int = 0

    @abstractmethod
    def forward(self, out: Tensor, activation: Tensor) -> Tensor:
        """Scale ``out``; ``activation`` is the real input before binarization."""


class ChannelScale(OutputScale):
    """Learned factor per output channel, started uniformly in [0, 1).

    Args:
        channels: Output channels of the convolution.

    Examples:
        >>> scale = ChannelScale(2)
        >>> _ = scale.weight.data.copy_(torch.tensor([2.0, 3.0]))
        >>> scale(torch.ones(1, 2, 1, 1), torch.zeros(1, 4, 1, 1)).flatten().tolist()
        [2.0, 3.0]
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(channels))

    @classmethod
    def of_magnitudes(cls, conv: nn.Conv2d) -> ChannelScale:
        """Started at ``mean|w|`` of each filter instead."""
        scale = cls(conv.out_channels)
        with torch.no_grad():
            scale.weight.copy_(mean_abs_per_filter(conv.weight).flatten())
        return scale

    def forward(self, out: Tensor, activation: Tensor) -> Tensor:
        # Under autocast the features stay in its type.
        return out * self.weight.to(out.dtype).view(-1, 1, 1)


class ActivationScaleMap(OutputScale):
    """XNOR-Net's K: the mean magnitude of the activations under the kernel.

    K is a constant of the step, see :func:`cmim.functional.scale_map.box_mean_abs`.

    Args:
        conv: Gives kernel size, stride, padding and dilation.

    Examples:
        >>> scale = ActivationScaleMap(nn.Conv2d(2, 1, 1))
        >>> scale(torch.ones(1, 1, 1, 1), torch.tensor([[[[1.0]], [[-3.0]]]])).item()
        2.0
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        # The numbers, not the module: it would be registered twice.
        self.geometry = (
            conv.kernel_size,
            conv.stride,
            conv.padding,
            conv.dilation,
        )

    def forward(self, out: Tensor, activation: Tensor) -> Tensor:
        return out * box_mean_abs(activation.detach(), *self.geometry)

    def extra_repr(self) -> str:
        names = ("kernel_size", "stride", "padding", "dilation")
        pairs = zip(names, self.geometry, strict=True)
        return ", ".join(f"{name}={value}" for name, value in pairs)


class OutputPReLU(OutputScale):
    """PReLU between convolution and batch-norm, behind another scale if there is one.

    Args:
        slopes: Output channels for a slope each, or 1 for one slope; started at 1/4.
        scale: Applied first.

    Examples:
        >>> out = torch.tensor([[[[-4.0, 4.0]]]])
        >>> OutputPReLU(1)(out, torch.zeros(1, 3, 1, 2)).tolist()
        [[[[-1.0, 4.0]]]]
    """

    def __init__(self, slopes: int, scale: OutputScale | None = None) -> None:
        super().__init__()
        self.scale = scale
        self.macs = 0 if scale is None else scale.macs
        self.slope = nn.Parameter(torch.full((slopes,), 0.25))

    def forward(self, out: Tensor, activation: Tensor) -> Tensor:
        if self.scale is not None:
            out = self.scale(out, activation)
        # Under autocast the features stay in its type.
        return F.prelu(out, self.slope.to(out.dtype))
