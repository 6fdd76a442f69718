r"""InfoNCE of vectors against all places of their own image, with clipped scores."""

from __future__ import annotations

import torch
from torch import Tensor

from cmim.functional.score_sums import log_add_exp


def soft_clip(scores: Tensor, limit: float) -> Tensor:
    r""":math:`c \tanh(s / c)`: smoothly within :math:`\pm c`.

    Args:
        scores: Any shape.
        limit: c > 0.

    Examples:
        >>> soft_clip(torch.tensor([0.0, 1e4]), 20.0).tolist()
        [0.0, 20.0]
    """
    return limit * torch.tanh(scores / limit)


def own_places_nce(scores: Tensor, own: Tensor) -> Tensor:
    r"""Every place of the own image in turn as positive, other images as negatives.

    .. math::
        \ell_a = \frac1T \sum_t -\log \frac{e^{s_{a,t}}}
            {e^{s_{a,t}} + \sum_{m \ne \text{own}(a)} \sum_u e^{s_{a,m,u}}}

    Other places of the own image are neither. 0 where there is no other image.

    Args:
        scores: ``(A, M, T)``, source a against place t of image m.
        own: ``(A,)`` int64, the image of each source.

    Returns:
        ``(A,)`` in nats.

    References:
        Bachman et al., Learning Representations by Maximizing Mutual Information Across
        Views, NeurIPS 2019, Eq. 6 and 7. https://arxiv.org/abs/1906.00910

    Examples:
        >>> own_places_nce(torch.zeros(1, 4, 1), torch.tensor([2])).exp().tolist()
        [4.0...]
    """
    sources, _, places = scores.shape
    index = own.view(-1, 1, 1).expand(sources, 1, places)
    positive = scores.gather(1, index).squeeze(1)
    others = scores.scatter(1, index, float("-inf"))
    log_sum = log_add_exp(others.flatten(1).T)[:, None]
    return (torch.logaddexp(positive, log_sum) - positive).mean(dim=1)
