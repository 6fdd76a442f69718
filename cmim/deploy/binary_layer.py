r"""One binary convolution as numbers: bits, thresholds, levels, scales.

.. math::
    y_o = \sum_k \sum_t \beta_{to}\,\big(h_k\,(W_t * s_k)_o + m_k\,(W_t * 1)_o\big),
    \qquad s_k = \operatorname{sign}(x - \theta_k), \quad
    h = \tfrac{high - low}{2}, \quad m = \tfrac{high + low}{2}

over the steps k of the activation and the terms t of the weight. Convolutions are of
signs, with zeros outside of the image, so all sums are integers. An offset of the
weights is a term of signs +1: its convolution is the same for all o, computed once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from cmim.functional.rotation import sample_mean
from cmim.layers.conv import BinaryConv2d
from cmim.methods import ActivationBinarizer

# Narrower groups would be mostly the channels that fill the engine's blocks.
LEAST_GROUP = 8
# Beyond this many binary convolutions for one layer, integers are faster.
MOST_PRODUCTS = 16


class ExportError(ValueError):
    """A layer that cannot be exported exactly; the message names it."""


@dataclass(frozen=True)
class SignStep:
    """A two-level term of an activation.

    Attributes:
        threshold: float32 ``(I,)`` or ``(1,)``: the code is high from it on.
        low: Value below the threshold.
        high: Value from the threshold on.
    """

    threshold: np.ndarray
    low: float
    high: float

    @property
    def half(self) -> float:
        """Half the distance of the levels."""
        return (self.high - self.low) / 2

    @property
    def middle(self) -> float:
        """Mean of the levels."""
        return (self.high + self.low) / 2


@dataclass(frozen=True)
class SignTerm:
    """A term of binary weights.

    Attributes:
        scale: float32 ``(O,)``.
        signs: int8 ``(O, I, kh, kw)``, -1 or +1.
    """

    scale: np.ndarray
    signs: np.ndarray

    @property
    def is_shared(self) -> bool:
        """All filters have the same signs, as those of an offset: +1 everywhere."""
        return len(self.signs) > 1 and bool((self.signs == self.signs[:1]).all())

    @property
    def filters(self) -> np.ndarray:
        """``(O, I, kh, kw)``, or ``(1, I, kh, kw)`` where one gives what all give."""
        return self.signs[:1] if self.is_shared else self.signs


@dataclass(frozen=True)
class BinaryLayer:
    """A binary convolution with the binarizer in front of it.

    Attributes:
        name: Name of the convolution in the network.
        steps: Steps of the activation.
        terms: Terms of the weights.
        stride: Rows and columns, in pixels.
        padding: Zeros at each side, in pixels.
        dilation: In pixels.
        centred: The thresholds are relative to each sample's mean activation.
    """

    name: str
    steps: tuple[SignStep, ...]
    terms: tuple[SignTerm, ...]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    centred: bool = False

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """``(O, I, kh, kw)``."""
        o, i, kh, kw = self.terms[0].signs.shape
        return o, i, kh, kw

    @property
    def products(self) -> int:
        """How many binary convolutions it takes.

        A term whose filters share their signs is one filter of a convolution, and is
        not counted beside others.
        """
        own = sum(not term.is_shared for term in self.terms)
        return len(self.steps) * max(own, 1)


@torch.no_grad()
def read_layer(
    name: str, conv: BinaryConv2d, binarizer: ActivationBinarizer
) -> BinaryLayer:
    """Read the numbers of a convolution and its binarizer, as evaluation uses them.

    Args:
        name: Name of the convolution, for messages.
        conv: In evaluation mode.
        binarizer: The binarizer in front of it, in evaluation mode.

    Raises:
        ExportError: It has no exact form of this kind.

    Examples:
        >>> from cmim.methods import get_method
        >>> method = get_method("bireal")
        >>> conv = BinaryConv2d(4, 2, 3, method.weight((2, 4, 3, 3)), padding=1)
        >>> layer = read_layer("conv", conv.eval(), method.activation(4).eval())
        >>> layer.products, layer.steps[0].half, layer.steps[0].middle
        (1, 1.0, 0.0)
    """
    kind = type(binarizer).__name__
    _refuse_inexact(name, conv)
    stride, padding, dilation = (
        _pair(name, x) for x in (conv.stride, conv.padding, conv.dilation)
    )
    probe = torch.zeros(1, conv.in_channels, 1, 1, device=conv.weight.device)
    centred = not binarizer.static
    steps = tuple(
        _read_step(name, kind, step, conv.in_channels)
        for step in binarizer.steps(probe.to(conv.weight.dtype))
    )
    if centred and not _is_centred(binarizer, conv.in_channels, len(steps)):
        raise ExportError(
            f"{name}: the levels of its activation ({kind}) depend on the input, so "
            "that its products are no sums of signs; train without that addition, or "
            "run this network in torch"
        )
    terms = tuple(
        SignTerm(
            scale.detach().float().expand(conv.out_channels, 1, 1, 1)
            .flatten().cpu().numpy().copy(),
            signs.to(torch.int8).cpu().numpy().copy(),
        )
        for scale, signs in conv.terms()
    )  # fmt: skip
    layer = BinaryLayer(name, steps, terms, stride, padding, dilation, centred)
    if layer.products > MOST_PRODUCTS:
        raise ExportError(
            f"{name}: {len(steps)} steps of the activation times {len(terms)} terms of "
            f"the weight are {layer.products} binary convolutions, more than "
            f"{MOST_PRODUCTS}: an integer network is faster than that"
        )
    return layer


def _refuse_inexact(name: str, conv: BinaryConv2d) -> None:
    """Refuse convolutions whose own options have no exact or no useful form."""
    if conv.bias is not None or conv.padding_mode != "zeros":
        raise ExportError(
            f"{name}: only convolutions without bias and padding modes other than "
            "zeros are exported"
        )
    if conv.groups != 1 and conv.in_channels // conv.groups < LEAST_GROUP:
        raise ExportError(
            f"{name}: its groups have {conv.in_channels // conv.groups} channels; "
            f"groups of {LEAST_GROUP} and more are exported, since narrower ones are "
            "faster in full precision: keep this layer"
        )


def split_groups(layer: BinaryLayer, groups: int) -> list[BinaryLayer]:
    """The groups of a grouped convolution as layers of their own.

    Args:
        layer: Of all groups: filters see the channels of one group.
        groups: How many there are.

    Raises:
        ExportError: Its thresholds follow the mean of all channels.
    """
    if layer.centred:
        raise ExportError(
            f"{layer.name}: its activation is centred over all channels, which groups "
            "do not see: keep this layer in full precision"
        )
    outputs, inputs = layer.shape[0] // groups, layer.shape[1]
    parts = []
    for group in range(groups):
        out = slice(group * outputs, (group + 1) * outputs)
        read = slice(group * inputs, (group + 1) * inputs)
        steps = tuple(
            step
            if len(step.threshold) == 1
            else replace(step, threshold=step.threshold[read])
            for step in layer.steps
        )
        terms = tuple(SignTerm(t.scale[out], t.signs[out]) for t in layer.terms)
        name = f"{layer.name}.{group}"
        parts.append(replace(layer, name=name, steps=steps, terms=terms))
    return parts


def _pair(name: str, value: object) -> tuple[int, int]:
    if isinstance(value, tuple) and len(value) == 2:
        return int(value[0]), int(value[1])
    raise ExportError(f"{name}: padding {value!r} is not a number of pixels")


def _read_step(name: str, kind: str, step, channels: int) -> SignStep:
    threshold = step.threshold.detach().float().cpu().flatten().numpy()
    low, high = (torch.as_tensor(level).flatten() for level in (step.low, step.high))
    if len(threshold) not in (1, channels) or len(low) > 1 or len(high) > 1:
        raise ExportError(
            f"{name}: the levels of its activation ({kind}) differ between channels, "
            "so that its products are no sums of signs"
        )
    return SignStep(threshold.copy(), float(low), float(high))


def _is_centred(binarizer: ActivationBinarizer, channels: int, steps: int) -> bool:
    """Whether only the thresholds depend on the input, as the mean of the sample."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, channels, 4, 5, generator=generator, dtype=torch.float64)
    zero = binarizer.steps(torch.zeros_like(x[:1]))
    found = binarizer.steps(x)
    mean = sample_mean(x)
    return len(found) == steps and all(
        torch.as_tensor(a.low).numel() == torch.as_tensor(a.high).numel() == 1
        and (a.low, a.high) == (b.low, b.high)
        and torch.allclose((a.threshold - b.threshold).expand(3, -1, 1, 1), mean)
        for a, b in zip(found, zero, strict=True)
    )
