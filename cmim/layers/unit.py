"""One binary convolution with what belongs in front of it and behind it."""

from __future__ import annotations

from torch import Tensor, nn

from cmim.layers.binary_weights import as_method
from cmim.layers.conv import (
    integer_levels,
    make_activation,
    make_conv,
    make_output_scale,
)
from cmim.methods import Method


class ConvUnit(nn.Module):
    r"""Binarize, convolve, scale, pool, normalise.

    .. math:: y = B(P(s(w * b(x), x)))

    with the method's binarizers b and w and output scale s, max-pooling P if wanted,
    and batch-norm B. In full precision b and s are the identity.

    Args:
        method: Binarizers and output scale.
        in_channels: Input channels.
        out_channels: Output channels.
        kernel_size: Odd side of the square kernel in pixels.
        stride: Stride in pixels.
        dilation: Dilation in pixels.
        pool: Side and stride of the max-pooling in pixels; 1 for none.
        groups: Groups of channels that are convolved apart; as many as channels is a
            depth-wise convolution.

    Shape:
        ``(N, I, H, W)`` to ``(N, O, ceil(H / s), ceil(W / s))``, s = stride * pool.

    Examples:
        >>> import torch
        >>> from cmim.methods import get_method
        >>> ConvUnit(get_method("bnn"), 3, 8, 3, pool=2)(torch.zeros(1, 3, 5, 4)).shape
        torch.Size([1, 8, 3, 2])
    """

    def __init__(
        self,
        method: Method,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        dilation: int = 1,
        pool: int = 1,
        groups: int = 1,
    ) -> None:
        super().__init__()
        self.binarize = make_activation(method, in_channels)
        self.conv = make_conv(
            method,
            in_channels,
            out_channels,
            kernel_size,
            stride,
            dilation,
            levels=integer_levels(self.binarize),
            groups=groups,
        )
        self.scale = make_output_scale(method, self.conv)
        # ceil_mode: partial windows at odd sizes, as strided convolutions have them.
        self.pool = nn.MaxPool2d(pool, ceil_mode=True) if pool > 1 else nn.Identity()
        self.bn = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.convolve(self.binarize(x), x)

    def convolve(self, codes: Tensor, x: Tensor) -> Tensor:
        """What follows the binarizer, for units that share one.

        Args:
            codes: Binarized x.
            x: The real activation.
        """
        return self.bn(self.pool(self.scale(self.conv(codes), x)))


class BinaryUnit(ConvUnit):
    """One binary convolution with everything that its method puts around it.

    :class:`ConvUnit` and the method's non-linearity, for networks built by hand:
    activation binarizer, convolution, output scale, batch-norm, non-linearity.

    Args:
        in_channels: Input channels.
        out_channels: Output channels.
        kernel_size: Odd side of the square kernel in pixels; borders are padded.
        method: A method or its name, see :func:`cmim.methods.available_methods`.
        stride: Stride in pixels.
        dilation: Dilation in pixels.
        pool: Side and stride of the max-pooling in pixels; 1 for none.

    Shape:
        ``(N, I, H, W)`` to ``(N, O, ceil(H / s), ceil(W / s))``, s = stride * pool.

    Examples:
        >>> import torch
        >>> unit = BinaryUnit(64, 64, 3, method="reactnet")
        >>> unit(torch.randn(1, 64, 8, 8)).shape
        torch.Size([1, 64, 8, 8])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        method: str | dict | Method,
        stride: int = 1,
        dilation: int = 1,
        pool: int = 1,
    ) -> None:
        chosen = as_method(method)
        super().__init__(
            chosen, in_channels, out_channels, kernel_size, stride, dilation, pool
        )
        self.nonlinearity = chosen.nonlinearity(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.nonlinearity(super().forward(x))
