"""One binary linear layer or convolution of a transformer, with what belongs around."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from cmim.layers.conv import BinaryConv2d, Unscaled, integer_levels
from cmim.layers.linear import BinaryLinear
from cmim.layers.tokens import TokenActivation, TokenScale, over_tokens
from cmim.methods import Method, OutputScale

# What a unit is made of: its geometry.
Layer = nn.Linear | nn.Conv2d


class GivenBiasLinear(nn.Linear):
    """Torch's linear layer without a bias of its own: it is added in the same product.

    Examples:
        >>> layer = GivenBiasLinear(1, 1, bias=False)
        >>> layer(torch.zeros(1, 1), torch.ones(1)).item()
        1.0
    """

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        return nn.functional.linear(x, self.weight, bias)


class GivenBiasConv2d(nn.Conv2d):
    """Torch's convolution without a bias of its own: it is added in the same pass.

    Examples:
        >>> conv = GivenBiasConv2d(1, 1, 1, bias=False)
        >>> conv(torch.zeros(1, 1, 1, 1), torch.ones(1)).item()
        1.0
    """

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        return self._conv_forward(x, self.weight, bias)


class ProjectionUnit(nn.Module):
    r"""Binarize, multiply, scale, normalise, and add the bias and a shortcut.

    .. math:: y = g\big(B(s(w * b(x), x)) + c + S(x)\big)

    with the method's binarizers b and w and output scale s, batch-norm B without a
    shift of its own, bias c, and where there is a shortcut S the method's non-linearity
    g behind it, as in BinaryViT. A method that keeps weights and activations real makes
    it torch's layer with a bias, exactly, and the shortcut if there is one; g belongs
    to binary activations alone. The layer's weights are ``layer.weight`` in either.

    Args:
        method: Binarizers, output scale and non-linearity.
        layer: Geometry: a linear layer, whose unit reads tokens, or a convolution.
        shortcut: Makes S(x) of x; no shortcut when None.

    Shape:
        As the layer's.

    References:
        Le and Li, BinaryViT, CVPR workshops 2023.
        https://github.com/Phuoc-Hoan-Le/BinaryViT

    Examples:
        >>> from cmim.methods import get_method
        >>> unit = ProjectionUnit(get_method("reactnet"), nn.Linear(4, 8))
        >>> unit(torch.zeros(2, 5, 4)).shape
        torch.Size([2, 5, 8])
        >>> type(ProjectionUnit(get_method("fp"), nn.Linear(4, 8)).layer).__name__
        'GivenBiasLinear'
    """

    def __init__(
        self, method: Method, layer: Layer, shortcut: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.tokens = isinstance(layer, nn.Linear)
        self.is_binary = method.is_binary
        inputs, outputs = _channels(layer)
        self.binarize: nn.Module = nn.Identity()
        if method.activation is not None:
            inner = method.activation(inputs)
            self.binarize = TokenActivation(inner) if self.tokens else inner
        self.layer = _make_layer(method, layer, self.binarize)
        self.scale = _make_scale(method, layer, self.layer)
        self.normalize: nn.Module = nn.Identity()
        if method.is_binary:
            self.normalize = nn.BatchNorm2d(outputs)
            # The unit's bias follows, under the name that it has in full precision.
            self.normalize.register_parameter("bias", None)
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.shortcut = shortcut
        self.nonlinearity: nn.Module = nn.Identity()
        if shortcut is not None and method.activation is not None:
            self.nonlinearity = method.nonlinearity(outputs)

    def forward(self, x: Tensor) -> Tensor:
        if self.is_binary:
            out = self._over(self.normalize, self.multiply(x))
            bias = self.bias.to(out.dtype)
            out = out + (bias if self.tokens else bias.view(-1, 1, 1))
        else:
            # Through the identity, so that taps of the binary network see it here, too.
            out = self.layer(self.binarize(x), self.bias)
        if self.shortcut is None:
            return out
        return self._over(self.nonlinearity, out + self.shortcut(x))

    def multiply(self, x: Tensor) -> Tensor:
        """The scaled product with the binary weights, without what follows it."""
        return self.scale(self.layer(self.binarize(x)), x)

    def _over(self, module: nn.Module, x: Tensor) -> Tensor:
        if isinstance(module, nn.Identity) or not self.tokens:
            return module(x)
        return over_tokens(module, x)


def _channels(layer: Layer) -> tuple[int, int]:
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features
    return layer.in_channels, layer.out_channels


def _make_layer(method: Method, layer: Layer, binarize: nn.Module) -> nn.Module:
    """The layer of a method with a layer's geometry, without bias."""
    inputs, outputs = _channels(layer)
    if isinstance(layer, nn.Linear):
        if method.weight is None:
            return GivenBiasLinear(inputs, outputs, bias=False)
        return BinaryLinear(inputs, outputs, method=method)
    size = cast(tuple[int, int], layer.kernel_size)
    stride = cast(tuple[int, int], layer.stride)
    if method.weight is None:
        return GivenBiasConv2d(inputs, outputs, size, stride, bias=False)
    levels = integer_levels(binarize)
    return BinaryConv2d(
        inputs, outputs, size, stride=stride, levels=levels, method=method
    )


def _make_scale(method: Method, layer: Layer, made: nn.Module) -> OutputScale:
    if method.output_scale is None:
        return Unscaled()
    if isinstance(made, nn.Conv2d):
        return method.output_scale(made)
    point = nn.Conv2d(*_channels(layer), 1, bias=False)
    point.weight.data.copy_(cast(Tensor, made.weight)[..., None, None])
    return TokenScale(method.output_scale(point))


class RepeatChannels(nn.Module):
    """A shortcut to more channels: the input several times, behind itself.

    Args:
        times: How often.

    Shape:
        ``(N, C, *)`` to ``(N, times C, *)``.

    Examples:
        >>> RepeatChannels(2)(torch.tensor([[1.0, 2.0]])).tolist()
        [[1.0, 2.0, 1.0, 2.0]]
    """

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x] * self.times, dim=1)


class PoolChannels(nn.Module):
    """A shortcut to fewer channels: means of so many neighbours.

    Args:
        count: How many.

    Shape:
        ``(N, count C, *)`` to ``(N, C, *)``.

    Examples:
        >>> PoolChannels(2)(torch.tensor([[1.0, 3.0, 5.0, 5.0]])).tolist()
        [[2.0, 5.0]]
    """

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(1, (-1, self.count)).mean(dim=2)
