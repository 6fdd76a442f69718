"""Forward pass and surrogate gradient of a method's binarizers, as measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cmim.methods import Method, Scheduled
from cmim.methods.method import Shape

LIMIT = 2.5
POINTS = 251
# Part of training that is done, for binarizers with a schedule.
PROGRESS = (0.0, 0.5, 1.0)


@dataclass(frozen=True)
class Curve:
    """What a binarizer makes of x, and its gradient there.

    Attributes:
        x: Values from -2.5 to 2.5, ``(251,)``; the middle one is 0.
        forward: Output at x, in training.
        gradient: Derivative of each output for its own x, as autograd gives it.
        progress: Part of training that is done; None without a schedule.
    """

    x: Tensor
    forward: Tensor
    gradient: Tensor
    progress: float | None


def _grid() -> Tensor:
    half = torch.linspace(0, LIMIT, POINTS // 2 + 1, dtype=torch.float64)
    return torch.cat([-half[1:].flip(0), half])


def _normal_values(count: int) -> Tensor:
    """Quantiles of a normal distribution: symmetric, mean 0, close to variance 1."""
    places = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    return torch.special.ndtri(places)


def _measure_activation(binarizer: nn.Module) -> tuple[Tensor, Tensor]:
    # A sample for each x, the rest of it normal: binarizers may read its statistics.
    channels, side = 2, 16
    filler = _normal_values(side * side).view(1, 1, side, side)
    samples = filler.repeat(POINTS, channels, 1, 1)
    samples[:, 0, 0, 0] = _grid()
    samples.requires_grad_()
    out = binarizer(samples)[:, 0, 0, 0]
    (gradient,) = torch.autograd.grad(out.sum(), samples)
    return out.detach(), gradient[:, 0, 0, 0]


def _measure_weight(binarizer: nn.Module, shape: Shape) -> tuple[Tensor, Tensor]:
    # All x in one filter, which is filled up with normal values.
    count = shape[1] * shape[2] * shape[3]
    values = torch.cat([_grid(), _normal_values(count - POINTS)])
    weight = values.view(shape).requires_grad_()
    out = binarizer(weight).flatten()[:POINTS]
    slopes = [
        # The whole row of the Jacobian belongs to one output: take its own place.
        torch.autograd.grad(value, weight, retain_graph=True)[0].flatten()[i]
        for i, value in enumerate(out)
    ]
    return out.detach(), torch.stack(slopes)


def _curves(
    binarizer: nn.Module, measure: Callable[[nn.Module], tuple[Tensor, Tensor]]
) -> list[Curve]:
    binarizer = binarizer.double().train()
    scheduled = [m for m in binarizer.modules() if isinstance(m, Scheduled)]
    if not scheduled:
        return [Curve(_grid(), *measure(binarizer), None)]
    curves = []
    for progress in PROGRESS:
        for module in scheduled:
            module.set_progress(progress)
        curves.append(Curve(_grid(), *measure(binarizer), progress))
    return curves


def activation_curves(method: Method) -> list[Curve]:
    """Measure the activation binarizer at its start, in samples of variance 1.

    Args:
        method: The method.

    Returns:
        One curve, three with a schedule, none if activations stay full precision.

    Examples:
        >>> from cmim.methods import get_method
        >>> curve = activation_curves(get_method("bireal"))[0]
        >>> middle = len(curve.x) // 2
        >>> curve.forward[middle].item(), curve.gradient[middle].item()
        (1.0, 2.0)
    """
    if method.activation is None:
        return []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return _curves(method.activation(2), _measure_activation)


def weight_curves(method: Method) -> list[Curve]:
    """Measure the weight binarizer at its start, in one filter of variance about 1.

    Args:
        method: The method.

    Returns:
        One curve, three with a schedule, none if weights stay full precision.

    Examples:
        >>> from cmim.methods import get_method
        >>> len(weight_curves(get_method("irnet"))), weight_curves(get_method("fp"))
        (3, [])
    """
    if method.weight is None:
        return []
    shape = (1, 128, 3, 3)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return _curves(method.weight(shape), lambda b: _measure_weight(b, shape))
