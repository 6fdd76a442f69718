r"""Similarity without negatives."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def negative_cosine(prediction: Tensor, target: Tensor) -> Tensor:
    r""":math:`-\frac{p}{\|p\|_2} \cdot \frac{z}{\|z\|_2}` with no gradient into z.

    A vector of zeros gives 0.

    Args:
        prediction: ``(A, D)``.
        target: ``(A, D)``, held constant.

    Returns:
        ``(A,)`` in [-1, 1].

    References:
        Chen and He, Exploring Simple Siamese Representation Learning, CVPR 2021,
        Eq. 1 and 3. https://arxiv.org/abs/2011.10566

    Examples:
        >>> import torch
        >>> negative_cosine(torch.tensor([[3.0, 0.0]]), torch.tensor([[1.0, 0.0]]))
        tensor([-1.])
    """
    return -(F.normalize(prediction, dim=1) * F.normalize(target.detach(), dim=1)).sum(
        dim=1
    )
