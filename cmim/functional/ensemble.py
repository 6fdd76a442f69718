"""What several answers say together."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor


def log_mean_softmax(logits: Tensor, dim: int = 2) -> Tensor:
    r"""Logits of the mean of class probabilities.

    .. math:: z_k = \log \frac{1}{V} \sum_v \mathrm{softmax}(x^v)_k

    Their softmax is the mean itself. Of equal answers it differs from these by a
    constant, which changes no class.

    Args:
        logits: Of V answers.
        dim: Of the classes in ``logits``.

    Shape:
        ``(V, *)``; output ``(*)``.

    Examples:
        Shares of 1/2 and 1/2, and of 1/5 and 4/5, are 7/20 and 13/20 together.

        >>> import torch
        >>> logits = torch.tensor([[[0.5, 0.5]], [[0.2, 0.8]]]).log()
        >>> log_mean_softmax(logits).exp().mul(20).round().tolist()
        [[7.0, 13.0]]
    """
    shares = F.log_softmax(logits, dim=dim)
    return shares.logsumexp(dim=0) - math.log(len(logits))


def logit_mean_sigmoid(logits: Tensor) -> Tensor:
    r"""The logit of the mean of probabilities.

    .. math:: z = \mathrm{logit} \frac{1}{V} \sum_v \sigma(x^v)

    Shape:
        ``(V, *)``; output ``(*)``.

    Examples:
        The mean of 1/10 and 1/2 is 3/10.

        >>> import torch
        >>> logits = torch.tensor([[0.1], [0.5]]).logit()
        >>> round(logit_mean_sigmoid(logits).sigmoid().item(), 6)
        0.3
    """
    yes, no = (F.logsigmoid(sign * logits).logsumexp(dim=0) for sign in (1, -1))
    return yes - no
