r"""A memory of every training image, and draws of negatives from it.

.. math::
    v_i \leftarrow \frac{m\,v_i + (1 - m)\,z_i}{\|m\,v_i + (1 - m)\,z_i\|_2}

References: Wu et al., Unsupervised Feature Learning via Non-Parametric Instance
Discrimination, CVPR 2018. https://arxiv.org/abs/1805.01978
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class FeatureBank(nn.Module):
    """One row per training image: a moving average of its projections.

    The rows are a buffer, so checkpoints keep them. They start uniform in
    ``+-sqrt(3 / channels)``, of length 1 on average. If a batch holds an image twice,
    one of the two is kept.

    Args:
        size: Number of training images.
        channels: Length of a row.
        momentum: Share of the old row, in [0, 1).

    Raises:
        ValueError: ``size`` is not positive, or ``momentum`` outside [0, 1).

    Examples:
        >>> bank = FeatureBank(size=2, channels=2, momentum=0.5)
        >>> bank.rows.copy_(torch.eye(2)).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
        >>> bank.blend(torch.tensor([1]), torch.tensor([[1.0, 0.0]]))
        >>> bank.rows.tolist()
        [[1.0, 0.0], [0.707..., 0.707...]]
    """

    rows: Tensor

    def __init__(self, size: int, channels: int, momentum: float = 0.5) -> None:
        super().__init__()
        if size < 1:
            raise ValueError(f"rows must be at least 1, got {size}")
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), got {momentum}")
        self.momentum = momentum
        bound = math.sqrt(3 / channels)
        rows = torch.empty(size, channels).uniform_(-bound, bound)
        self.register_buffer("rows", rows)

    def at(self, indices: Tensor) -> Tensor:
        """Rows ``(*indices.shape, channels)``, a copy."""
        rows = self.rows.index_select(0, indices.flatten())
        return rows.view(*indices.shape, -1)

    @torch.no_grad()
    def blend(
        self, indices: Tensor, vectors: Tensor, known: Tensor | None = None
    ) -> None:
        """Move rows towards new projections.

        Args:
            indices: ``(B,)`` int64.
            vectors: ``(B, channels)``.
            known: ``(B,)`` boolean, rows to move; all when None.
        """
        old = self.at(indices)
        mixed = self.momentum * old + (1 - self.momentum) * vectors.to(old.dtype)
        new = F.normalize(mixed, dim=1)
        if known is not None:
            new = torch.where(known[:, None], new, old)
        self.rows.index_copy_(0, indices, new)


def draw_from_others(groups: Tensor, own: Tensor, count: int) -> Tensor:
    """Per anchor, rows of other groups than its own, uniform, with replacement.

    Args:
        groups: ``(M,)`` int64 group of each row.
        own: ``(A,)`` int64 group of each anchor.
        count: Draws an anchor.

    Returns:
        ``(A, count)`` int64 places in ``groups``; any place for an anchor to whose
        group all rows belong.

    Examples:
        >>> draw_from_others(torch.tensor([7, 5, 7]), torch.tensor([7, 5]), 99).unique()
        tensor([0, 1, 2])
        >>> draw_from_others(torch.tensor([7, 5, 7]), torch.tensor([7]), 2).tolist()
        [[1, 1]]
    """
    # In order of group the own group is one stretch, which the draw jumps over.
    ordered, places = groups.sort(stable=True)
    first = torch.searchsorted(ordered, own)
    length = torch.searchsorted(ordered, own, right=True) - first
    free = (len(groups) - length).clamp(min=1)[:, None]
    chance = torch.rand(len(own), count, device=groups.device, dtype=torch.float64)
    drawn = torch.minimum((chance * free).long(), free - 1)
    drawn += length[:, None] * (drawn >= first[:, None])
    return places[drawn.clamp(max=len(groups) - 1)]
