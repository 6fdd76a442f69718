r"""Bounds on mutual information, each as a loss per anchor, in nats.

Anchor i has a score ``positive[i]`` with its own partner (a sample of the joint
distribution) and scores with negatives (samples of the product of the marginals), of
which each bound needs one figure: the logarithm of their summed or of their mean
exponentials, or a sum of softplus.

The mean of a loss is minus the bound (InfoNCE: log K minus it), except for
``jensen_shannon_loss`` and ``nce_loss``, which train a critic and bound something else.

References:
    Poole et al., On Variational Bounds of Mutual Information, ICML 2019.
    https://arxiv.org/abs/1905.06922
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def info_nce_loss(positive: Tensor, log_sum: Tensor) -> Tensor:
    r""":math:`-\log \frac{e^{s^+}}{e^{s^+} + \sum_{j} e^{s_j}}`.

    0 where there is no negative. ``log(1 + count) - loss`` is the bound; it never
    exceeds the logarithm of the number of candidates.

    Args:
        positive: ``(A,)`` scores of the positives.
        log_sum: ``(A,)`` log of the negatives' summed exponentials, ``-inf`` for none.

    References:
        van den Oord et al., Representation Learning with Contrastive Predictive
        Coding, 2018. https://arxiv.org/abs/1807.03748

    Examples:
        >>> info_nce_loss(torch.zeros(1), torch.tensor([3.0]).log()).exp().tolist()
        [4.0...]
    """
    return torch.logaddexp(positive, log_sum) - positive


def nce_loss(positive: Tensor, softplus_sum: Tensor, shift: float | Tensor) -> Tensor:
    r"""Eq. 5 of CMIM: :math:`-\log h(s^+) - \sum_{j} \log(1 - h(s_j))`.

    .. math:: h(s) = \frac{e^s}{e^s + N/M} = \operatorname{sigmoid}(s - \log (N/M))

    so :math:`-\log h(s) = \operatorname{softplus}(\log(N/M) - s)` and
    :math:`-\log(1 - h(s)) = \operatorname{softplus}(s - \log(N/M))`.

    Args:
        positive: ``(A,)`` scores of the positives.
        softplus_sum: ``(A,)`` sum over the negatives of ``softplus(s - log(N/M))``.
        shift: ``log(N/M)``.

    References:
        Shang et al., Network Binarization via Contrastive Learning, ECCV 2022, Eq. 5.
        Tian et al., Contrastive Representation Distillation, ICLR 2020, Eq. 18.

    Examples:
        >>> nce_loss(torch.zeros(1), torch.zeros(1), 0.0).tolist()  # log 2
        [0.693...]
    """
    return F.softplus(shift - positive) + softplus_sum


def tuba_loss(
    positive: Tensor, log_mean: Tensor, log_baseline: Tensor | float
) -> Tensor:
    r"""Minus the bound of Barber and Agakov in the form of Poole et al., Eq. 6.

    .. math:: -\big(1 + s^+ - \log a\big) + \tfrac1a\,\mathrm{mean}_j\, e^{s_j}

    Args:
        positive: ``(A,)`` scores of the positives.
        log_mean: ``(A,)`` log of the negatives' mean exponential.
        log_baseline: ``log a``, a number or ``(A,)``.

    Examples:
        >>> tuba_loss(torch.tensor([2.0]), torch.zeros(1), 0.0).tolist()
        [-2.0]
    """
    return (log_mean - log_baseline).exp() - (1 + positive - log_baseline)


def nwj_loss(positive: Tensor, log_mean: Tensor) -> Tensor:
    r"""Minus the bound of Nguyen, Wainwright and Jordan: TUBA at ``a = e``.

    .. math:: -s^+ + e^{-1}\,\mathrm{mean}_j\, e^{s_j}

    Examples:
        >>> nwj_loss(torch.tensor([1.0]), torch.ones(1)).tolist()
        [0.0]
    """
    return tuba_loss(positive, log_mean, 1.0)


def donsker_varadhan_loss(positive: Tensor, log_mean_all: Tensor) -> Tensor:
    r"""Minus the bound of Donsker and Varadhan, :math:`-s^+ + \log E_q e^s`.

    Args:
        positive: ``(A,)`` scores of the positives.
        log_mean_all: Scalar, log of the mean exponential over all pairs of the product
            of the marginals: one figure for all anchors.

    Examples:
        >>> donsker_varadhan_loss(torch.tensor([2.0]), torch.tensor(0.5)).tolist()
        [-1.5]
    """
    return log_mean_all - positive


def jensen_shannon_loss(positive: Tensor, softplus_mean: Tensor) -> Tensor:
    r"""Trains a critic to the log density ratio; a bound on a Jensen-Shannon MI.

    .. math::
        \operatorname{softplus}(-s^+) + \mathrm{mean}_j \operatorname{softplus}(s_j)

    The mutual information in nats is read with ``nwj_loss`` at scores ``s + 1``.

    References:
        Nowozin et al., f-GAN, NeurIPS 2016. https://arxiv.org/abs/1606.00709

    Examples:
        >>> jensen_shannon_loss(torch.zeros(1), torch.zeros(1)).tolist()
        [0.693...]
    """
    return F.softplus(-positive) + softplus_mean


def interpolated_bound(
    scores: Tensor, log_baseline: Tensor | float, alpha: float
) -> Tensor:
    r"""Between the single-sample bound (alpha 0) and InfoNCE (alpha 1): Poole, Eq. 11.

    With the leave-one-out mean :math:`m_{ij}` of row i's exponential scores without
    column j, :math:`q_{ij} = \alpha m_{ij} + (1 - \alpha) a_i`:

    .. math::
        I = 1 + \frac{1}{K(K-1)} \sum_{i \ne j} \Big( s_{ii} - \log q_{ij} \Big)
              - \frac{1}{K(K-1)} \sum_{i \ne j} \frac{e^{s_{ij}}}{q_{ii}}

    Row i is :math:`y_i` against all x: its own x is on the diagonal.

    Args:
        scores: ``(K, K)``, positives on the diagonal, K >= 3.
        log_baseline: :math:`\log a`, a number or ``(K,)``.
        alpha: In [0, 1].

    Returns:
        The bound, a scalar in nats. At most ``1 + log(K - 1) - log(alpha)``, and
        ``log(K - 1)`` at alpha 1.

    Raises:
        ValueError: ``alpha`` outside [0, 1], or fewer than 3 samples.

    Examples:
        >>> interpolated_bound(torch.zeros(3, 3), 0.0, 0.5).tolist()  # nothing is known
        0.0
    """
    size = len(scores)
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must be in [0, 1], got {alpha}")
    if size < 3 or scores.shape != (size, size):
        raise ValueError(
            f"scores of shape {tuple(scores.shape)}: the interpolated bound needs a "
            "square matrix of at least 3 samples, positives on the diagonal"
        )
    log_baseline = torch.as_tensor(log_baseline, dtype=scores.dtype).to(scores.device)
    log_mean = log_leave_one_out_mean(scores)
    parts = []
    if alpha > 0:
        parts.append(log_mean + math.log(alpha))
    if alpha < 1:
        rows = log_baseline.expand(size)[:, None] + math.log1p(-alpha)
        parts.append(rows.expand(size, size))
    log_q = parts[0] if len(parts) == 1 else torch.logaddexp(*parts)
    # Filled instead of picked: picking by a mask would wait for the device.
    own = torch.eye(size, dtype=torch.bool, device=scores.device)
    pairs = size * (size - 1)
    joint = (scores.diagonal()[:, None] - log_q).masked_fill(own, 0).sum() / pairs
    ratios = (scores - log_q.diagonal()[:, None]).masked_fill(own, float("-inf"))
    marginal = ratios.flatten().logsumexp(0)
    return 1 + joint - (marginal - math.log(pairs)).exp()


def log_leave_one_out_mean(scores: Tensor) -> Tensor:
    r"""Log-mean-exp of each row without each of its entries.

    ``(K, K)`` to ``(K, K)``: entry (i, j) is
    :math:`\log \frac{1}{K-1} \sum_{k \ne j} e^{s_{ik}}`, from prefix and suffix sums,
    so that no difference of near-equal numbers is taken.

    Examples:
        >>> s = torch.tensor([[1.0, 2.0, 4.0]]).log().expand(3, 3)
        >>> log_leave_one_out_mean(s)[0].exp().tolist()
        [3.0..., 2.5..., 1.5...]
    """
    gap = scores.new_full((len(scores), 1), float("-inf"))
    before = torch.cat([gap, scores.logcumsumexp(1)[:, :-1]], dim=1)
    after = torch.cat([gap, scores.flip(1).logcumsumexp(1)[:, :-1]], dim=1).flip(1)
    return torch.logaddexp(before, after) - math.log(scores.shape[1] - 1)
