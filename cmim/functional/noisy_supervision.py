r"""Learning from labels of which some are flipped."""

from __future__ import annotations

import torch
from torch import Tensor


def unbiased_squared_error(
    prediction: Tensor,
    label: Tensor,
    flipped_up: float = 0.1,
    flipped_down: float = 0.1,
) -> Tensor:
    r"""Squared error to noisy labels with the expectation of that to clean ones.

    .. math::
        \tilde\ell(q, y) = \frac{(1 - \rho_{-y})\,(q - y)^2 - \rho_y\,(q + y)^2}
        {1 - \rho_{+1} - \rho_{-1}}

    with :math:`\rho_y` the probability that a clean label y was flipped. Up to a
    constant it is the squared error to the larger target

    .. math:: t = y \, \frac{1 + \rho_y - \rho_{-y}}{1 - \rho_{+1} - \rho_{-1}}

    which lies outside [-1, 1] where the two rates are equal; the error can be negative.

    Args:
        prediction: q, floating tensor of any shape.
        label: y in {-1, +1}, same shape.
        flipped_up: :math:`\rho_{+1}`, share of clean +1 seen as -1, from 0.
        flipped_down: :math:`\rho_{-1}`, share of clean -1 seen as +1, from 0.

    Returns:
        The error of each element.

    Raises:
        ValueError: Negative rates, or rates that sum to 1 or more.

    References:
        Natarajan et al., Learning with Noisy Labels, NeurIPS 2013.
        Han et al., Training Binary Neural Networks through Learning with Noisy
        Supervision, ICML 2020. https://arxiv.org/abs/2010.04871

    Examples:
        >>> q, y = torch.tensor([1.0, 0.0]), torch.tensor([1.0, -1.0])
        >>> unbiased_squared_error(q, y, 0.25, 0.25).tolist()
        [-2.0, 1.0]
        >>> unbiased_squared_error(q, y, 0.0, 0.0).tolist()
        [0.0, 1.0]
    """
    left = 1 - flipped_up - flipped_down
    if flipped_up < 0 or flipped_down < 0 or left <= 0:
        raise ValueError(
            "rates of flipped labels must not be negative and must sum to less than "
            f"1, got {flipped_up} and {flipped_down}"
        )
    up = label > 0
    # Two numbers alone would give float32.
    of_up = prediction.new_full((), flipped_up)
    of_down = prediction.new_full((), flipped_down)
    of_label = torch.where(up, of_up, of_down)
    of_other = torch.where(up, of_down, of_up)
    agree = (prediction - label).square()
    differ = (prediction + label).square()
    return ((1 - of_other) * agree - of_label * differ) / left
