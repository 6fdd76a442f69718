"""Classifiers of torchvision, without weights."""

from __future__ import annotations

from typing import Any

import torchvision.models
from torch import nn

from cmim.encoders.sources.source import Body


def SOURCE(name: str, in_channels: int, options: dict[str, Any]) -> Body:
    """A network of ``torchvision.models``; its stages are searched.

    Args:
        name: As ``torchvision.models.get_model`` knows it.
        in_channels: Bands of the pictures; another number than 3 gives the first
            convolution as many.
        options: Further arguments of the network.

    Raises:
        ValueError: No such network, or options that it does not take.
    """
    known = torchvision.models.list_models(torchvision.models)
    if name not in known:
        close = [other for other in known if other[:4] == name[:4]] or known
        raise ValueError(
            f"torchvision has no network {name!r}; it has {', '.join(close[:20])}, ..."
        )
    # Never weights, which would be downloaded: they come from a file.
    given = {"weights": None, **options}
    if name in ("googlenet", "inception_v3"):
        given = {"aux_logits": False, "init_weights": False, **given}
    if given["weights"] is not None or given.get("weights_backbone") is not None:
        raise ValueError(
            "weights of torchvision are not downloaded: save them, and name the file "
            "with pretrained="
        )
    try:
        network = torchvision.models.get_model(name, **given)
    except TypeError as error:
        raise ValueError(f"torchvision/{name}: {error}") from None
    if in_channels != 3:
        _read_bands(network, in_channels)
    side = getattr(network, "image_size", None)
    return Body(network, size=(side, side) if isinstance(side, int) else None)


def _read_bands(network: nn.Module, bands: int) -> None:
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            bias = module.bias is not None
            first = nn.Conv2d(bands, module.out_channels, 1, bias=bias)
            for key in ("kernel_size", "stride", "padding", "dilation"):
                setattr(first, key, getattr(module, key))
            shape = (module.out_channels, bands, *module.kernel_size)
            first.weight = nn.Parameter(first.weight.new_empty(shape))
            first.reset_parameters()
            network.set_submodule(name, first)
            return
