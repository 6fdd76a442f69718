r"""Contrast with several positives per anchor."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from cmim.functional.score_sums import CHUNK


def sum_positives(
    candidates: Tensor,
    positive: Callable[[int, int], Tensor],
    chunk: int = CHUNK,
) -> tuple[Tensor, Tensor]:
    r"""Sum of each anchor's positives, and how many there are.

    The mean score with the positives is the score with their mean: one matrix product
    of the mask and the candidates, no score matrix.

    Args:
        candidates: ``(B, D)``, B > 0.
        positive: ``(start, stop) -> (A, stop - start)`` boolean.
        chunk: Candidates at a time.

    Returns:
        ``(A, D)`` and ``(A,)``, in the dtype of the candidates.

    Examples:
        >>> mask = torch.tensor([[True, False, True]])
        >>> vectors = torch.tensor([[1.0], [2.0], [4.0]])
        >>> total, count = sum_positives(vectors, lambda a, b: mask[:, a:b])
        >>> total.tolist(), count.tolist()
        ([[5.0]], [2.0])
    """
    sums, counts = [], []
    for start in range(0, len(candidates), chunk):
        block = candidates[start : start + chunk]
        mask = positive(start, start + len(block)).to(candidates.dtype)
        sums.append(mask @ block)
        counts.append(mask.sum(dim=1))
    return sum(sums[1:], sums[0]), sum(counts[1:], counts[0])


def supervised_contrastive_loss(
    positive_mean: Tensor, log_sum: Tensor, known: Tensor
) -> Tensor:
    r"""The loss L_out, the mean over the positives outside the logarithm.

    .. math::
        \ell_i = -\frac{1}{|P(i)|} \sum_{p \in P(i)} \log
            \frac{e^{s_{ip}}}{\sum_{a \in A(i)} e^{s_{ia}}}
        = \log \sum_{a \in A(i)} e^{s_{ia}} - \mathrm{mean}_{p \in P(i)}\, s_{ip}

    with A(i) all candidates but the anchor itself, positives included: with more than
    one positive it does not reach 0, its least value is :math:`\log |P(i)|`.

    Args:
        positive_mean: ``(A,)`` mean score of the positives.
        log_sum: ``(A,)`` log of the summed exponential scores of all candidates.
        known: ``(A,)`` boolean; an anchor that is not gives 0 and has no gradient.

    References:
        Khosla et al., Supervised Contrastive Learning, NeurIPS 2020, Eq. 2.
        https://arxiv.org/abs/2004.11362

    Examples:
        >>> yes = torch.tensor([True])
        >>> supervised_contrastive_loss(
        ...     torch.zeros(1), torch.tensor([4.0]).log(), yes
        ... ).exp().tolist()
        [4.0]
    """
    # -inf of an anchor without candidates must not meet the zero of its weight.
    losses = log_sum.masked_fill(~known, 0) - positive_mean
    return torch.where(known, losses, torch.zeros_like(losses))
