"""Mutual information of two variables from samples, by nearest neighbours, in nats.

``ksg`` for continuous variables, ``mixed_ksg`` where values repeat (codes, activations
behind a ReLU), ``lnc`` for continuous variables that almost determine each other. For
analysis, not for training: none has a gradient. ``tools/bench.py estimators`` compares
them with known values.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import digamma

from cmim.analysis.nearest_neighbours import (
    Floats,
    as_pair,
    check_neighbours,
    count_closer,
    nearest,
)

# Share of uniform neighbourhoods that the threshold of LNC takes for thin ones.
FALSE_ALARMS = 5e-3


class RepeatedValuesError(ValueError):
    """Samples of a continuous variable are alike, so that it is none."""


def ksg(x: ArrayLike, y: ArrayLike, neighbours: int = 3) -> float:
    r"""Mutual information of two continuous variables (KSG, estimator 1).

    .. math::
        \hat I = \psi(k) + \psi(N) - \langle \psi(n_x + 1) + \psi(n_y + 1) \rangle

    :math:`n_x` counts the other samples whose x is strictly closer than the k-th
    neighbour in the joint space, in the max norm.

    Independent variables scatter around 0, also below. Never far above
    :math:`\psi(N) - \psi(k)`: strong dependence needs exponentially many samples, see
    :func:`lnc`. x and y should have a similar spread, since distances mix them.

    Args:
        x: First variable, ``(N, dx)`` or ``(N,)``.
        y: Second variable, ``(N, dy)`` or ``(N,)``.
        neighbours: k; more of them mean less spread and more bias.

    Returns:
        The estimate in nats.

    Raises:
        ValueError: Too few samples, lengths that differ, values that are not finite.
        RepeatedValuesError: Samples with k exact copies; a ValueError, too.

    References:
        Kraskov, Stögbauer, Grassberger, Estimating mutual information, Physical Review
        E 69, 2004. https://arxiv.org/abs/cond-mat/0305641
        Compared with gregversteeg/NPEET @ 8b0d948, its added noise set to 0: at most
        2e-15 nats apart over 108 Gaussian samples (N to 1000, k 1 to 5, dx 1 to 5).

    Examples:
        No other x is closer than the neighbour: psi(4) - psi(1) = 1 + 1/2 + 1/3.

        >>> round(ksg([0, 1, 3, 7], [0, 1, 3, 7], neighbours=1), 4)
        1.8333
    """
    check_neighbours(neighbours)
    x, y = as_pair(x, y, neighbours + 1)
    radius, _ = nearest(np.hstack([x, y]), neighbours)
    _refuse_copies(radius == 0, neighbours, "ksg")
    counts = digamma(count_closer(x, radius)) + digamma(count_closer(y, radius))
    return float(digamma(neighbours) + digamma(len(x)) - counts.mean())


def mixed_ksg(x: ArrayLike, y: ArrayLike, neighbours: int = 3) -> float:
    r"""Mutual information of variables that are discrete, continuous, or both.

    .. math::
        \hat I = \langle \psi(\tilde k_i) + \log N - \psi(n_{x,i}) - \psi(n_{y,i})
        \rangle

    :math:`\tilde k_i` is k, or the number of copies of the sample where its k-th
    neighbour is one; :math:`n_x` counts samples strictly closer than that neighbour
    (copies where the distance is 0), always with the sample itself.

    Without copies it is :func:`ksg` with :math:`\log N` for :math:`\psi(N)`, larger by
    about :math:`1 / 2N`. As the published code, not the published formula, which has
    :math:`\log(n_x + 1)`, for n without the sample itself but with the boundary. Few
    copies of a value bias it upwards: two values, twice each, give log 4 - psi(2).

    Args:
        x: First variable, ``(N, dx)`` or ``(N,)``.
        y: Second variable, ``(N, dy)`` or ``(N,)``.
        neighbours: k; the published code's default is 5.

    Returns:
        The estimate in nats.

    Raises:
        ValueError: Too few samples, lengths that differ or values that are not finite.

    References:
        Gao, Kannan, Oh, Viswanath, Estimating Mutual Information for
        Discrete-Continuous Mixtures, NeurIPS 2017. https://arxiv.org/abs/1709.06212
        Compared with wgao9/mixed_KSG @ ab38e2e: at most 4e-14 nats apart over 108
        Gaussian samples and 162 with ties (N to 1000, k 1 to 5).

    Examples:
        >>> round(mixed_ksg([0, 0, 1, 1], [5, 5, 8, 8], neighbours=1), 4)
        0.9635
    """
    check_neighbours(neighbours)
    x, y = as_pair(x, y, neighbours + 1)
    joint = np.hstack([x, y])
    radius, _ = nearest(joint, neighbours)
    ties = np.where(radius > 0, neighbours, count_closer(joint, 0 * radius))
    counts = digamma(count_closer(x, radius)) + digamma(count_closer(y, radius))
    return float((digamma(ties) - counts).mean() + np.log(len(x)))


def lnc(
    x: ArrayLike,
    y: ArrayLike,
    neighbours: int | None = None,
    alpha: float | None = None,
) -> float:
    r"""Mutual information of strongly dependent continuous variables (LNC).

    .. math::
        \hat I = \psi(k) - \frac 1 k + \psi(N) - \langle \psi(n_x) + \psi(n_y) \rangle
        + \Big\langle \mathbf 1\{\bar V_i < \alpha V_i\} \log \frac{V_i}{\bar V_i}
        \Big\rangle

    KSG's estimator 2 takes the density around a sample for uniform over the box
    :math:`V_i` that its neighbours fill. Where their box along the principal axes,
    :math:`\bar V_i`, is thinner than :math:`\alpha V_i`, that one is used.

    Inf where a linear map links x and y exactly. With many dimensions the density of a
    Gaussian is not uniform over a neighbourhood either, so weak dependence is
    overestimated: use it where :func:`ksg` saturates. Thin neighbourhoods within x or y
    alone count as shared information.

    Args:
        x: First variable, ``(N, dx)`` or ``(N,)``.
        y: Second variable, ``(N, dy)`` or ``(N,)``.
        neighbours: k > dx + dy; 2 (dx + dy) + 1 when None.
        alpha: Threshold in [0, 1]; 0 never corrects; :func:`lnc_alpha` when None.

    Returns:
        The estimate in nats.

    Raises:
        ValueError: As :func:`ksg`, or an alpha outside of [0, 1].
        RepeatedValuesError: k neighbours that are alike in a variable.

    References:
        Gao, Ver Steeg, Galstyan, Efficient Estimation of Mutual Information for
        Strongly Dependent Variables, AISTATS 2015. https://arxiv.org/abs/1411.2003
        Compared with BiuBiuBiLL/NPEET_LNC @ 82f2926, noise set to 0: at most 3e-14 nats
        apart over 90 Gaussian samples with dx = dy = 1, for which alone it is the same.
        gregversteeg/NPEET @ 8b0d948 adds the same correction, to 4e-12 nats for dx to
        5, to KSG's estimator 1; that made up to 0.08 nats of difference.

    Examples:
        The truth is 5.41 nats, which 300 samples do not tell without the correction.

        >>> rng = np.random.default_rng(0)
        >>> x, noise = rng.normal(size=(2, 300))
        >>> y = 0.99999 * x + np.sqrt(1 - 0.99999**2) * noise
        >>> abs(lnc(x, y) - 5.41) < 0.3, abs(ksg(x, y) - 5.41) > 0.5
        (True, True)
    """
    x, y = as_pair(x, y, 2)
    joint = np.hstack([x, y])
    dims = joint.shape[1]
    k = 2 * dims + 1 if neighbours is None else neighbours
    check_neighbours(k, dims + 1)
    as_pair(x, y, k + 1)
    if alpha is not None and not 0 <= alpha <= 1:
        raise ValueError(f"alpha is {alpha}; give a share of volume from 0 to 1")
    _, offsets = nearest(joint, k)
    sides = np.abs(offsets).max(1)
    _refuse_copies((sides == 0).any(1), k, "lnc")
    counts = sum(
        digamma(count_closer(part, side.max(1)))
        for part, side in ((x, sides[:, : x.shape[1]]), (y, sides[:, x.shape[1] :]))
    )
    uniform = digamma(k) - 1 / k + digamma(len(x)) - np.mean(counts)
    widths = _principal_widths(offsets)
    if (widths < 8 * np.finfo(np.float64).eps * np.abs(joint).max()).any():
        return float("inf")
    thinner = np.log(widths).sum(1) - np.log(sides).sum(1)
    threshold = lnc_alpha(k, dims) if alpha is None else alpha
    return float(uniform - np.where(np.exp(thinner) < threshold, thinner, 0).mean())


@lru_cache(maxsize=64)
def lnc_alpha(neighbours: int, dims: int) -> float:
    r"""Threshold of :func:`lnc`: how thin neighbours of a uniform density look.

    The :math:`5 \cdot 10^{-3}` quantile of :math:`\bar V / V` over simulated
    neighbourhoods, uniform in a cube around the sample; with a fixed seed.

    Args:
        neighbours: k, above ``dims``.
        dims: dx + dy.

    References:
        As :func:`lnc`. The authors' spreadsheet, whose simulation is not published,
        has 0.18, 0.37, 0.63 and 0.82 for k = 3, 5, 10 and 20 at 2 dimensions, against
        0.10, 0.32, 0.60 and 0.82 here; 0.40 for k = 20 at 10, against 0.51.

    Examples:
        >>> 0.25 < lnc_alpha(5, 2) < 0.4
        True
    """
    random = np.random.default_rng(0)
    shape = (200_000 // dims, neighbours, dims)
    offsets = random.uniform(-1, 1, shape)
    boxes = np.log(np.abs(offsets).max(1)).sum(1)
    thinner = np.log(_principal_widths(offsets)).sum(1) - boxes
    return float(np.exp(np.quantile(thinner, FALSE_ALARMS)))


def _principal_widths(offsets: Floats) -> Floats:
    """Largest reach along each principal axis through the sample, ``(N, d)``."""
    _, axes = np.linalg.eigh(offsets.transpose(0, 2, 1) @ offsets)
    return np.abs(offsets @ axes).max(1)


def _refuse_copies(found: np.ndarray, neighbours: int, name: str) -> None:
    if found.any():
        raise RepeatedValuesError(
            f"{name} needs continuous values, but {int(found.sum())} of {len(found)} "
            f"samples share a value with their {neighbours} nearest neighbours; use "
            "mixed_ksg"
        )
