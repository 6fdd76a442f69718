"""What a library's network has to say, to be an encoder."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from cmim.naming import factories


@dataclass
class Body:
    """A network without weights, and how its features are read.

    Attributes:
        network: Called with pictures.
        stages: Names of the modules whose outputs are the levels; searched when None.
        returns_features: The network gives its levels itself, as mmseg's backbones do.
        features: Name of the method that gives the features without a classifier;
            the forward pass when empty.
        size: Height and width of the only pictures it takes; any when None.
    """

    network: nn.Module
    stages: Sequence[str] | None = None
    returns_features: bool = False
    features: str = ""
    size: tuple[int, int] | None = None


# A library's builder: name of the network, bands of its pictures, its own options.
Source = Callable[[str, int, dict[str, Any]], Body]


def available_sources() -> dict[str, Source]:
    """Builders by library."""
    return factories("cmim.encoders.sources", "SOURCE")


def build_body(
    network: str | type[nn.Module] | nn.Module, in_channels: int, options: dict
) -> Body:
    """Build a network by the name of its library, or a user's own.

    Args:
        network: ``'library/name'``; a class of the user's, or ``'file.py:Class'``, the
            file seen from the working directory; or a module.
        in_channels: Bands of the pictures.
        options: Further arguments of the network's builder.

    Raises:
        ValueError: Unknown library or network, or options that it does not take.

    Examples:
        >>> build_body("torchvision/mobilenet_v2", 3, {}).network.last_channel
        1280
    """
    if isinstance(network, nn.Module):
        return Body(network)
    if not isinstance(network, str):
        return _own(network, options)
    if ".py:" in network:
        return _own(class_of_file(network), options)
    library, _, name = network.partition("/")
    known = available_sources()
    if library not in known or not name:
        raise ValueError(
            f"network {network!r} is unknown: give 'LIBRARY/NAME' with one of "
            f"{', '.join(sorted(known))}, a class, or 'FILE.py:CLASS'"
        )
    return known[library](name, in_channels, options)


def _own(network: type[nn.Module], options: dict) -> Body:
    try:
        return Body(network(**options))
    except TypeError as error:
        raise ValueError(
            f"the network {getattr(network, '__name__', network)!r} cannot be built: "
            f"{error}; its arguments are network_options"
        ) from None


def class_of_file(place: str) -> type[nn.Module]:
    """A class that a file defines. The file is run, as configs are.

    Args:
        place: ``'file.py:Class'``.

    Raises:
        ValueError: No such file or class, a file that fails, a class that is no module.
    """
    path, _, name = place.rpartition(":")
    file = Path(path)
    if not file.is_file():
        raise ValueError(
            f"network {place!r}: the file {file.absolute()} does not exist; give its "
            "place from the working directory, or the whole path"
        )
    spec = importlib.util.spec_from_file_location(f"network_of_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Known by its name, so that pickles and dataclasses of the file work.
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ValueError(
            f"network {place!r}: the file fails: {type(error).__name__}: {error}"
        ) from error
    found = getattr(module, name, None)
    if not isinstance(found, type) or not issubclass(found, nn.Module):
        classes = [
            key
            for key, value in vars(module).items()
            if isinstance(value, type) and issubclass(value, nn.Module)
        ]
        raise ValueError(
            f"network {place!r}: the file has no torch module {name!r}; it has "
            f"{', '.join(classes) or 'none'}"
        )
    return found
