"""Places thresholds, gains and biases of converted layers from a few pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from cmim.convert.converted import ConvertedLayer
from cmim.convert.moments import Moments, moments_of
from cmim.convert.phase import Phase
from cmim.convert.probe import evaluation


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

    Two passes in evaluation mode, in which batch-norms that were never trained take the
    statistics of the pictures. In the first one the layers compute with their latent
    weights, as the full-precision network did: thresholds go to the median of each
    input channel. In the second one they are binary, and gain and bias give each output
    channel the mean m and deviation s that it had:

    .. math:: g = s_{fp} / s_b, \qquad c = m_{fp} - g\, m_b

    Layers that were placed before stay, and so do those that training still computes in
    full precision (``Phase.LATENT``); of one that is called several times the first
    call counts. With several processes all take the values of the first one.

    Args:
        network: Holds :class:`ConvertedLayer`.
        run: Runs the network, or what contains it, on some pictures.

    Returns:
        Names of the layers that were placed; layers that did not run are left out.

    Raises:
        ValueError: A layer, by name, that sees or gives NaN or infinite values.

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
    waiting, layers = _by_phase(unplaced(network))
    if not layers:
        return []
    moments: dict[str, Moments] = {}
    with (
        evaluation(network),
        _batch_statistics(network),
        _without_autocast(),
        _replaced(waiting, lambda name, layer: layer.latent_forward),
    ):
        with _replaced(layers, lambda name, layer: _record(name, layer, moments)):
            run()
        with _replaced(layers, lambda name, layer: _place(layer, moments.get(name))):
            run()
    for name in moments:
        layers[name].share()
    return list(moments)


def _by_phase(
    layers: dict[str, ConvertedLayer],
) -> tuple[dict[str, ConvertedLayer], dict[str, ConvertedLayer]]:
    """Layers that are not to be binary yet, and the others."""
    waiting = {n: layer for n, layer in layers.items() if layer.phase is Phase.LATENT}
    return waiting, {n: m for n, m in layers.items() if n not in waiting}


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
            try:
                moments[name] = moments_of(x, out, layer.tokens)
            except ValueError as error:
                raise ValueError(f"'{name}' cannot be placed: {error}") from None
        return out

    return forward


def _place(
    layer: ConvertedLayer, moments: Moments | None
) -> Callable[[Tensor], Tensor]:
    def forward(x: Tensor) -> Tensor:
        if moments is None:
            return layer.latent_forward(x)
        # The moments are those of the first call, if there are several.
        if bool(layer.placed):
            return ConvertedLayer.forward(layer, x)
        return layer.place(moments, x)

    return forward


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
def _batch_statistics(network: nn.Module) -> Iterator[None]:
    """Untrained batch-norms normalise, as they will in training.

    With the mean 0 and the variance 1 that they start with, thresholds would lie where
    no activation of the training is, and no gradient would come back.
    """
    untrained = [
        module
        for module in network.modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
        and module.num_batches_tracked is not None
        and int(module.num_batches_tracked) == 0
    ]
    momenta = [module.momentum for module in untrained]
    for module in untrained:
        module.training, module.momentum = True, 0.0
    try:
        yield
    finally:
        for module, momentum in zip(untrained, momenta, strict=True):
            module.training, module.momentum = False, momentum
            assert module.num_batches_tracked is not None
            module.num_batches_tracked.zero_()


@contextmanager
def _without_autocast() -> Iterator[None]:
    with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
        yield
