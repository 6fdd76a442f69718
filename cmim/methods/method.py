"""The registry of binarization methods: a module with ``METHOD`` is a method."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from torch import nn

from cmim.methods.binarizer import ActivationBinarizer, WeightBinarizer
from cmim.methods.output_scale import OutputScale

Shape = tuple[int, int, int, int]


@dataclass(frozen=True)
class Method:
    """The pair of binarizers and the non-linearity that a name stands for.

    Args:
        name: Name used in configs.
        paper: Authors, title, venue, URL.
        weight: Makes the weight binarizer of one convolution, given the shape
            ``(O, I, kh, kw)`` of its weights; None keeps the weights in full
            precision.
        activation: Makes the activation binarizer in front of one convolution with
            the given number of channels; None keeps activations in full precision.
        nonlinearity: Makes the module after a shortcut addition, given its channels.
        full_precision: What stays full precision, for the tables.
        output_scale: Makes the module between one convolution and its batch-norm,
            given the convolution; None leaves the output as it is.
        checked: What was compared with what, and how far they differ.
    """

    name: str
    paper: str
    weight: Callable[[Shape], WeightBinarizer] | None
    activation: Callable[[int], ActivationBinarizer] | None
    nonlinearity: Callable[[int], nn.Module]
    full_precision: str
    output_scale: Callable[[nn.Conv2d], OutputScale] | None = None
    checked: str = "not compared with published code"

    @property
    def is_binary(self) -> bool:
        """True if weights or activations are binarized."""
        return self.weight is not None or self.activation is not None


@cache
def _factories() -> dict[str, Callable[..., Method]]:
    package = importlib.import_module("cmim.methods")
    found = {}
    for info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"cmim.methods.{info.name}")
        if hasattr(module, "METHOD"):
            found[info.name] = module.METHOD
    return found


def available_methods() -> list[str]:
    """Names of all methods, sorted.

    Examples:
        >>> {"bireal", "fp"} <= set(available_methods())
        True
    """
    return sorted(_factories())


def get_method(method: str | dict) -> Method:
    """Look a method up by name, with options.

    Args:
        method: A name, or ``dict(name=..., **options)``.

    Raises:
        ValueError: Unknown name or option; the message lists what exists.

    Examples:
        >>> get_method("bireal").name
        'bireal'
        >>> get_method("bi-real")
        Traceback (most recent call last):
        ValueError: method 'bi-real' is unknown; choose from ..., bireal, ...
    """
    options = dict(method) if isinstance(method, dict) else {"name": method}
    name = options.pop("name", None)
    factories = _factories()
    if name not in factories:
        known = ", ".join(sorted(factories))
        raise ValueError(f"method {name!r} is unknown; choose from {known}")
    accepted = set(inspect.signature(factories[name]).parameters)
    unknown = sorted(set(options) - accepted)
    if unknown:
        raise ValueError(
            f"method {name!r} has no option {', '.join(map(repr, unknown))}; "
            f"it accepts {', '.join(sorted(accepted)) or 'no options'}"
        )
    return factories[name](**options)
