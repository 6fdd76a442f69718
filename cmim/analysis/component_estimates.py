"""Nearest-neighbour estimates for wide features, from their leading components."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from cmim.analysis.mutual_information import (
    RepeatedValuesError,
    ksg,
    lnc,
    mixed_ksg,
)

# Leading directions that nearest-neighbour estimates see; with more, these fall short
# of the truth by bits unless there are exponentially many pixels.
COMPONENTS = 3
# Pixels of nearest-neighbour estimates, whose cost grows with the square.
NEIGHBOUR_ROWS = 1500
NEIGHBOURS = 3


def principal_components(x: Tensor, count: int = COMPONENTS) -> Tensor:
    """Leading principal components, each scaled to variance 1.

    Directions without variance are left out, so fewer columns may come back. Equal rows
    stay exactly equal.

    Args:
        x: ``(M, C)``.
        count: Columns wanted.

    Returns:
        ``(M, K)`` float64, ``K <= count``.

    Examples:
        >>> principal_components(torch.tensor([[3.0, 0], [-3, 0], [0, 1], [0, -1]]))
        tensor([[ 1.4142,  0.0000],
                [-1.4142,  0.0000],
                [ 0.0000,  1.4142],
                [ 0.0000, -1.4142]], dtype=torch.float64)
    """
    x = x.double()
    x = x - x.mean(0)
    values, vectors = torch.linalg.eigh(x.T @ x / len(x))
    kept = values.flip(0)[:count] > 1e-12 * values.abs().max().clamp(min=1e-300)
    axes = vectors.flip(1)[:, :count][:, kept]
    # An axis has no direction of its own: its largest entry is made positive.
    axes = axes * axes.gather(0, axes.abs().argmax(0, keepdim=True)).sign()
    # A matrix product may round equal rows differently, and then they are no ties.
    rows, place = x.unique(dim=0, return_inverse=True)
    return (rows @ axes / values.flip(0)[:count][kept].sqrt() + 0.0)[place]


def leading_components(x: Tensor) -> Tensor:
    """Components over all rows, at the rows among which neighbours are looked for.

    Args:
        x: ``(M, C)``.

    Returns:
        ``(min(M, 1500), K)`` float64, ``K <= 3``; no column where x is constant.

    Examples:
        >>> leading_components(torch.tensor([[7.0, 3], [7, 5]])).tolist()
        [[-1.0], [1.0]]
    """
    return principal_components(x)[_evenly_spaced(len(x))]


class Estimates(NamedTuple):
    """Mutual information in bits; None where an estimator cannot be asked.

    Attributes:
        ksg: :func:`~cmim.analysis.mutual_information.ksg`, of continuous variables.
        mixed: :func:`~cmim.analysis.mutual_information.mixed_ksg`, values may repeat.
        lnc: :func:`~cmim.analysis.mutual_information.lnc`, of strongly dependent
            continuous variables.
    """

    ksg: float | None
    mixed: float | None
    lnc: float | None


def component_estimates(x: Tensor, y: Tensor) -> Estimates:
    """Three estimates of the mutual information of leading components.

    All are None where one of the two is constant. KSG and LNC are None where too many
    rows are alike: then the variables are not continuous, and only the mixed estimate
    means something. LNC is also None where a linear map links the two exactly, so that
    they share infinitely much, and where rows are fewer than its neighbours.

    Of 1500 rows of Gaussians with 3 components that share 0, 3.6, 8.5 and 38 bits, KSG
    is off by 0, -0.4, -2 and -30 bits, LNC by 0.1, -0.4, -0.7 and -0.3. LNC counts thin
    neighbourhoods within one of the two as shared information: where it is far above
    KSG, either the two almost determine each other, or one of them lies near a surface.

    Args:
        x: ``(M, K)`` from :func:`leading_components`.
        y: ``(M, L)`` from the same rows.

    Examples:
        A code of two values, 16 times each, is no continuous variable.

        >>> code = torch.tensor([-1.0, 1.0]).repeat(16)[:, None]
        >>> ksg_bits, mixed_bits, lnc_bits = component_estimates(code, -code)
        >>> ksg_bits, abs(mixed_bits - 1) < 0.05, lnc_bits
        (None, True, None)
    """
    mixed = component_information(x, y)
    if mixed is None:
        return Estimates(None, None, None)
    enough = len(x) > 2 * (x.shape[1] + y.shape[1]) + 1
    try:
        plain = ksg(x.numpy(), y.numpy(), NEIGHBOURS) / math.log(2)
        strong = lnc(x.numpy(), y.numpy()) / math.log(2) if enough else math.inf
    except RepeatedValuesError:
        return Estimates(None, mixed, None)
    return Estimates(plain, mixed, strong if math.isfinite(strong) else None)


def component_information(x: Tensor, y: Tensor) -> float | None:
    """Estimate of the mutual information of leading components, in bits.

    Gao's estimator for mixed variables: components of codes take repeated values.
    None where one of the two is constant.

    Args:
        x: ``(M, K)`` from :func:`leading_components`.
        y: ``(M, L)`` from the same rows.
    """
    if x.shape[1] == 0 or y.shape[1] == 0:
        return None
    return mixed_ksg(x.numpy(), y.numpy(), NEIGHBOURS) / math.log(2)


def label_information(x: Tensor, labels: Tensor, continuous: bool) -> float | None:
    """Estimate of what the leading components tell about the label, in bits.

    Pixels of unknown label take no part, neither do those of classes with too few
    pixels to have neighbours. Classes are moved so far apart that only pixels of one
    class can be neighbours; depth is taken as logarithm. None where too few pixels are
    left, or nothing varies.

    Args:
        x: ``(M, C)``.
        labels: ``(M,)``, NaN where unknown.
        continuous: Labels are positive quantities, not classes.
    """
    known = labels.isfinite()
    if continuous:
        labels = labels.log()
    else:
        classes, place = labels.nan_to_num(-1).unique(return_inverse=True)
        frequent = torch.bincount(place, minlength=len(classes)) > 2 * NEIGHBOURS
        known &= frequent[place]
    if known.sum() <= 4 * NEIGHBOURS or labels[known].unique().numel() < 2:
        return None
    x, labels = leading_components(x[known]), labels[known].double()
    labels = labels[_evenly_spaced(len(labels))]
    if x.shape[1] == 0:
        return None
    if continuous:
        labels = (labels - labels.mean()) / labels.std()
    else:
        labels = labels * (4 * x.abs().max() + 1)
    return mixed_ksg(x.numpy(), labels[:, None].numpy(), NEIGHBOURS) / math.log(2)


def _evenly_spaced(rows: int) -> Tensor:
    count = min(rows, NEIGHBOUR_ROWS)
    return torch.arange(count) * rows // max(count, 1)
