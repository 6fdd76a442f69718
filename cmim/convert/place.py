"""Places thresholds, gains and biases of converted layers from a few pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from cmim.convert.converted import ConvertedLayer

# A channel whose output hardly varies gets no gain beyond this.
LEAST_SPREAD = 1e-6
# Values of a channel that its median is taken of.
MOST_VALUES = 100_000


@dataclass
class Moments:
    """What a full-precision layer saw and gave, channel by channel.

    Attributes:
        median: Of the input, ``(I,)``.
        spread: Mean distance of the input from it, ``(I,)``.
        mean: Of the output, ``(O,)``.
        deviation: Of the output, ``(O,)``.
    """

    median: Tensor
    spread: Tensor
    mean: Tensor
    deviation: Tensor


def unplaced(network: nn.Module) -> dict[str, ConvertedLayer]:
    """Converted layers whose thresholds were never placed, by name.

    Args:
        network: Any network.
    """
    return {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, ConvertedLayer) and not bool(module.placed)
    }


@torch.no_grad()
def place_converted(network: nn.Module, run: Callable[[], Any]) -> list[str]:
    r"""Place thresholds, gains and biases of the converted layers.

    Two passes in evaluation mode. In the first one the layers compute with their latent
    weights, as the full-precision network did: thresholds go to the median of each
    input channel. In the second one they are binary, and gain and bias give each output
    channel the mean m and deviation s that it had:

    .. math:: g = s_{fp} / s_b, \qquad c = m_{fp} - g\, m_b

    Layers that were placed before stay. With several processes all take the values of
    the first one.

    Args:
        network: Holds :class:`ConvertedLayer`.
        run: Runs the network, or what contains it, on some pictures.

    Returns:
        Names of the layers that were placed; layers that did not run are left out.

    Examples:
        >>> from cmim.convert import convert
        >>> net = nn.Sequential(*(nn.Conv2d(3, 3, 1) for _ in range(3)))
        >>> binary, _ = convert(net, "bireal")
        >>> pictures = torch.randn(2, 3, 8, 8)
        >>> place_converted(binary, lambda: binary(pictures))
        ['1']
        >>> codes = binary[1].binarize(binary[0](pictures))
        >>> codes.mean().item()  # 64 of 128 values of each channel are above
        0.0
    """
    layers = unplaced(network)
    if not layers:
        return []
    moments: dict[str, Moments] = {}
    with _evaluation(network), _without_autocast():
        with _replaced(layers, lambda name, layer: _record(name, layer, moments)):
            run()
        with _replaced(layers, lambda name, layer: _place(layer, moments.get(name))):
            run()
    for name in moments:
        layers[name].placed.fill_(True)
    _share(layers[name] for name in moments)
    return list(moments)


@contextmanager
def full_precision(network: nn.Module) -> Iterator[None]:
    """The network that was converted, while the block runs.

    Converted layers compute with their latent weights; those that were placed give
    other means than the network had.

    Args:
        network: Holds :class:`ConvertedLayer`.
    """
    layers = {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, ConvertedLayer)
    }
    with _replaced(layers, lambda name, layer: layer.latent_forward):
        yield


def _record(
    name: str, layer: ConvertedLayer, moments: dict[str, Moments]
) -> Callable[[Tensor], Tensor]:
    def forward(x: Tensor) -> Tensor:
        out = layer.latent_forward(x)
        if name not in moments:
            given, made = _by_channel(x, layer.tokens), _by_channel(out, layer.tokens)
            median = balanced_threshold(given)
            spread = (given - median[:, None]).abs().mean(dim=1)
            deviation, mean = torch.std_mean(made, dim=1, correction=0)
            moments[name] = Moments(median, spread, mean, deviation)
        return out

    return forward


def _place(
    layer: ConvertedLayer, moments: Moments | None
) -> Callable[[Tensor], Tensor]:
    def forward(x: Tensor) -> Tensor:
        if moments is None:
            return layer.latent_forward(x)
        activation = layer.activation()
        if activation is not None:
            activation.place(moments.median, moments.spread)
        out = layer.multiply(x)
        made = _by_channel(out, layer.tokens)
        deviation, mean = torch.std_mean(made, dim=1, correction=0)
        still = deviation < LEAST_SPREAD
        gain = torch.where(still, 1.0, moments.deviation / deviation.clamp(min=1e-30))
        layer.gain.copy_(gain)
        layer.bias.copy_(moments.mean - gain * mean)
        return out * layer.per_channel(layer.gain) + layer.per_channel(layer.bias)

    return forward


def balanced_threshold(values: Tensor) -> Tensor:
    """The value from which on most nearly half of the values lie, row by row.

    That is the median, or behind a ReLU, where it may be 0 with most others, the
    smallest value above it.

    Args:
        values: ``(C, values)``; of many a regular part is looked at.

    Returns:
        ``(C,)``.

    Examples:
        >>> balanced_threshold(torch.tensor([[1.0, 2, 3], [0, 0, 7]])).tolist()
        [2.0, 7.0]
    """
    values = values[:, :: -(-values.shape[1] // MOST_VALUES)]
    median = values.median(dim=1, keepdim=True).values
    above = values > median
    following = torch.where(above, values, torch.inf).min(dim=1).values
    at_median = (values >= median).float().mean(dim=1)
    # An odd count has a value in the middle, which either side may take.
    better = (above.float().mean(dim=1) - 0.5).abs() < (at_median - 0.5).abs() - 1e-6
    return torch.where(better & following.isfinite(), following, median[:, 0])


def _by_channel(x: Tensor, tokens: bool) -> Tensor:
    """All values of each channel, ``(C, values)``, float32."""
    return x.movedim(-1 if tokens else 1, 0).flatten(1).float()


@contextmanager
def _replaced(
    layers: dict[str, ConvertedLayer],
    make: Callable[[str, ConvertedLayer], Callable[[Tensor], Tensor]],
) -> Iterator[None]:
    """The layers with other forward passes while the block runs."""
    for name, layer in layers.items():
        layer.forward = make(name, layer)  # type: ignore
    try:
        yield
    finally:
        for layer in layers.values():
            del layer.forward


@contextmanager
def _evaluation(network: nn.Module) -> Iterator[None]:
    training = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, mode in training.items():
            module.training = mode


@contextmanager
def _without_autocast() -> Iterator[None]:
    with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
        yield


def _share(layers: Iterator[ConvertedLayer]) -> None:
    """All processes take the first one's values."""
    if not (dist.is_available() and dist.is_initialized()):
        return
    for layer in layers:
        activation = layer.activation()
        values: list[Tensor] = [layer.gain, layer.bias]
        if activation is not None:
            values += [activation.shift, activation.spread]
        for value in values:
            dist.broadcast(value.data, 0)
