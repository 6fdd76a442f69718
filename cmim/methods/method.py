"""The registry: a module with ``METHOD`` is a method, with ``ADDITION`` an addition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import nn

from cmim.methods.binarizer import ActivationBinarizer, WeightBinarizer
from cmim.methods.output_scale import OutputScale
from cmim.naming import factories, make_named

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
        bypass: Makes the shortcut where resolution or channels change, given input
            channels, output channels and stride in pixels; None leaves the block its
            own.
        published: Top-1 in percent that the paper or its authors' code states for
            ImageNet and ResNet-18 with one bit for weights and activations, trained
            in one step if both are stated; None where no such figure was found. It
            is no result of this package.
    """

    name: str
    paper: str
    weight: Callable[[Shape], WeightBinarizer] | None
    activation: Callable[[int], ActivationBinarizer] | None
    nonlinearity: Callable[[int], nn.Module]
    full_precision: str
    output_scale: Callable[[nn.Conv2d], OutputScale] | None = None
    checked: str = "not compared with published code"
    bypass: Callable[[int, int, int], nn.Module] | None = None
    published: float | None = None

    @property
    def is_binary(self) -> bool:
        """True if weights or activations are binarized."""
        return self.weight is not None or self.activation is not None


def require_activation(
    method: Method, addition: str
) -> Callable[[int], ActivationBinarizer]:
    """The method's activation binarizers, for an addition that changes them.

    Args:
        method: The method.
        addition: Name of the addition, for the message.

    Raises:
        ValueError: The method keeps its activations in full precision.
    """
    if method.activation is None:
        raise ValueError(
            f"addition {addition!r} changes activation binarizers, and method "
            f"{method.name!r} keeps its activations real; leave the addition out or "
            "choose a method that binarizes them"
        )
    return method.activation


def _methods() -> dict[str, Callable[..., Method]]:
    return factories("cmim.methods", "METHOD")


def _additions() -> dict[str, Callable[..., Callable[[Method], Method]]]:
    return factories("cmim.methods.additions", "ADDITION")


def available_methods() -> list[str]:
    """Names of all methods, sorted.

    Examples:
        >>> {"bireal", "fp"} <= set(available_methods())
        True
    """
    return sorted(_methods())


def available_additions() -> list[str]:
    """Names of all additions, sorted.

    Examples:
        >>> "unbalanced" in available_additions()
        True
    """
    return sorted(_additions())


def get_method(method: str | dict) -> Method:
    """Look a method up by name, with options and additions.

    Args:
        method: A name, ``'name+addition+...'``, or
            ``dict(name=..., additions=[...], **options)``, where each addition is a
            name or ``dict(name=..., **options)`` too; they are applied in order, so
            the last one is the outermost.

    Raises:
        ValueError: Unknown name or option; the message lists what exists.

    Examples:
        >>> get_method("bireal").name
        'bireal'
        >>> get_method("bi-real")
        Traceback (most recent call last):
        ValueError: method 'bi-real' is unknown; choose from ..., bireal, ...
        >>> get_method({"name": "bireal", "additions": ["unbalanced"]}).name
        'bireal+unbalanced'
        >>> get_method("bireal+unbalanced").name
        'bireal+unbalanced'
    """
    if isinstance(method, str) and "+" in method:
        name, *chain = method.split("+")
        method = {"name": name, "additions": chain}
    options = dict(method) if isinstance(method, dict) else {"name": method}
    additions: str | dict | Sequence[str | dict] = options.pop("additions", ())
    if isinstance(additions, (str, dict)):
        additions = [additions]
    made = make_named("method", _methods(), options)
    for addition in additions:
        made = make_named("addition", _additions(), addition)(made)
    return made
