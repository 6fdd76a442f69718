r"""Cross-entropy with another network's class distribution."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def soft_cross_entropy(logits: Tensor, reference: Tensor) -> Tensor:
    r"""Cross-entropy of two class distributions, mean over samples or pixels.

    .. math::
        -\frac{1}{M} \sum_m \sum_c p_{ref}(c)_m \log p(c)_m,
        \qquad p = \mathrm{softmax}(\mathrm{logits})

    The KL divergence and the entropy of the reference, which has no gradient here. No
    labels take part. Computed in float32 at least.

    Args:
        logits: ``(N, K)`` or ``(N, K, *)``.
        reference: Logits of the same shape, constants.

    Returns:
        Scalar in nats.

    Raises:
        ValueError: The shapes differ.

    References:
        Liu et al., ReActNet, ECCV 2020, Eq. 8, and its code.
        https://arxiv.org/abs/2003.03488

    Examples:
        >>> even, sure = torch.zeros(1, 4), torch.tensor([[99.0, 0.0, 0.0, 0.0]])
        >>> soft_cross_entropy(even, sure).item()  # log 4
        1.386...
    """
    if logits.shape != reference.shape:
        raise ValueError(
            f"logits of shape {tuple(logits.shape)} and a reference of shape "
            f"{tuple(reference.shape)}: the two networks must answer the same question"
        )
    dtype = torch.promote_types(logits.dtype, torch.float32)
    log_probabilities = F.log_softmax(logits, dim=1, dtype=dtype)
    expected = F.softmax(reference.detach(), dim=1, dtype=dtype)
    return -(expected * log_probabilities).sum(1).mean()
