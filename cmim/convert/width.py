"""How wide a surrogate must be for a gradient to keep its size on the way back."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from cmim.methods import ActivationBinarizer

# Widths that are tried, in units of the mean distance from the median.
NARROWEST, WIDEST = 0.5, 4.0
_HALVINGS = 12


def gradient_gain(binarize: ActivationBinarizer, x: Tensor) -> float:
    r"""How much larger a gradient is in front of a binarizer than behind it.

    .. math:: G^2 = \mathrm{mean}_c \;
        \frac{\mathrm{mean}\,(b'(x_c)^2) \; \mathrm{var}(x_c)}{\mathrm{var}(b(x_c))}

    with the surrogate derivative b'. The variances are those that the layers in front
    and behind normalise to. A linear layer between normalised ones has about 1, since
    it is initialised for that (He et al., 2015); of L layers with G the gradients grow
    as ``G^L``.

    Args:
        binarize: A method's binarizer.
        x: Activations in its units, ``(N, C, 1, 1)``. Channels whose codes are all
            alike, which pass nothing on, do not count.

    Returns:
        G; NaN where no channel counts or no gradient comes back.

    Examples:
        >>> from cmim.methods import get_method
        >>> binarize = get_method("bnn").activation(1)  # derivative 1 where |x| <= 1
        >>> x = torch.tensor([-1.0, 1.0]).view(2, 1, 1, 1)
        >>> gradient_gain(binarize, x), gradient_gain(binarize, x / 2)
        (1.0, 0.5)
    """
    with torch.enable_grad():
        given = x.detach().requires_grad_()
        codes = binarize(given)
        if not codes.requires_grad:
            return math.nan
        (slope,) = torch.autograd.grad(codes.sum(), given)
    moved = codes.detach().var(dim=(0, 2, 3), correction=0)
    spread = x.var(dim=(0, 2, 3), correction=0)
    square = slope.square().mean(dim=(0, 2, 3)) * spread / moved
    counted = square[moved > 0]
    return float(counted.mean().sqrt()) if len(counted) else math.nan


def steady_width(
    binarize: ActivationBinarizer, x: Tensor, threshold: float | Tensor = 0.0
) -> float:
    """The width k at which a gradient keeps its size: G of ``x / k + threshold`` is 1.

    With a surrogate that is as narrow as the activations are spread, gradients of
    ReActNet's grow by a fifth with each layer, 300 times through MobileNetV2; one that
    is a third wider keeps them.

    Args:
        binarize: A method's binarizer, whose codes change at the threshold alone.
        x: Distances from the threshold in units of their mean, ``(N, C, 1, 1)``.
        threshold: In the binarizer's units.

    Returns:
        k; 1 where no width from 0.5 to 4 has it, since the binarizer brings its input
        to a spread of its own or has no gradient.

    Examples:
        >>> from cmim.methods import get_method
        >>> # Of a share k / 2 the derivative is 1 / k, and the variance is 4 / 3.
        >>> x = torch.linspace(-2, 2, 2001).view(-1, 1, 1, 1)
        >>> round(steady_width(get_method("bnn").activation(1), x), 2)
        0.67
    """

    def gain(width: float) -> float:
        return gradient_gain(binarize, x / width + threshold)

    if not gain(NARROWEST) > 1 > gain(WIDEST):
        return 1.0
    low, high = NARROWEST, WIDEST
    for _ in range(_HALVINGS):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if gain(middle) > 1 else (low, middle)
    return math.sqrt(low * high)
