r"""Contrastive bounds on mutual information from a matrix of scores."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def info_nce(scores: Tensor, negatives: Tensor | None = None) -> Tensor:
    r"""InfoNCE loss per anchor, positives on the diagonal.

    .. math::
        \ell_i = -\log \frac{e^{s_{ii}}}{e^{s_{ii}} + \sum_{j \in N(i)} e^{s_{ij}}}

    ``log(1 + |N(i)|) - mean(l)`` is a lower bound on the mutual information in nats;
    it never exceeds the logarithm of the number of candidates. An anchor without any
    negative contributes 0 and has no gradient.

    Args:
        scores: ``(A, B)`` with ``B >= A``: score of anchor i against candidate j,
            already divided by the temperature. Candidate i is the positive of i.
        negatives: ``(A, B)`` boolean, which candidates count as negatives of which
            anchor (the diagonal is ignored); all others when None.

    Returns:
        ``(A,)`` losses in nats, in the dtype of ``scores``.

    Raises:
        ValueError: If there are fewer candidates than anchors.

    References:
        van den Oord et al., Representation Learning with Contrastive Predictive
        Coding, 2018. https://arxiv.org/abs/1807.03748

    Examples:
        >>> info_nce(torch.zeros(2, 2)).tolist()  # log 2: nothing is known
        [0.693..., 0.693...]
        >>> info_nce(torch.tensor([[0.0, 9.0], [0.0, 0.0]]),
        ...          torch.zeros(2, 2, dtype=torch.bool)).tolist()
        [-0.0, -0.0]
    """
    anchors, candidates = scores.shape
    if candidates < anchors:
        raise ValueError(
            f"scores of shape {tuple(scores.shape)}: every anchor needs its own "
            "positive, so give at least as many candidates (columns) as anchors (rows)"
        )
    if negatives is not None:
        eye = torch.eye(anchors, candidates, dtype=torch.bool, device=scores.device)
        scores = scores.masked_fill(~(negatives | eye), float("-inf"))
    targets = torch.arange(anchors, device=scores.device)
    return F.cross_entropy(scores, targets, reduction="none")
