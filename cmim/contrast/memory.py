"""A queue of past projections that serve as further negatives."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cmim.contrast.gathering import gather_ranks
from cmim.contrast.pairs import IGNORED


class ProjectionQueue(nn.Module):
    """First-in first-out memory of unit vectors and their labels.

    Its contents are buffers: they are saved in checkpoints and restored on resume.
    Until it has been filled once, the empty rows are marked and never used.

    Args:
        size: Number of rows kept.
        channels: Length of a row.

    References:
        He et al., Momentum Contrast, CVPR 2020. https://arxiv.org/abs/1911.05722

    Examples:
        >>> queue = ProjectionQueue(size=3, channels=1)
        >>> queue.push(torch.tensor([[1.0], [2.0]]), torch.tensor([5, 6]))
        >>> queue.push(torch.tensor([[3.0], [4.0]]), torch.tensor([7, 8]))
        >>> queue.rows.flatten().tolist(), queue.labels.tolist()
        ([4.0, 2.0, 3.0], [8, 6, 7])
    """

    rows: Tensor
    labels: Tensor
    filled: Tensor
    cursor: Tensor

    def __init__(self, size: int, channels: int) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("rows", torch.zeros(size, channels))
        self.register_buffer("labels", torch.full((size,), IGNORED, dtype=torch.long))
        self.register_buffer("filled", torch.zeros(size, dtype=torch.bool))
        self.register_buffer("cursor", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def push(self, rows: Tensor, labels: Tensor) -> None:
        """Overwrite the oldest rows.

        Rows of all processes go in, so the queue is the same on every rank.

        Args:
            rows: ``(B, C)``; of more than ``size`` rows the last ones are kept.
            labels: ``(B,)`` int64.
        """
        rows, labels = gather_ranks(rows), gather_ranks(labels)
        rows, labels = rows[-self.size :], labels[-self.size :]
        # Index arithmetic stays on the device: no synchronisation.
        places = (self.cursor + torch.arange(len(rows), device=rows.device)) % self.size
        self.rows[places] = rows.to(self.rows.dtype)
        self.labels[places] = labels
        self.filled[places] = True
        self.cursor.copy_((self.cursor + len(rows)) % self.size)
