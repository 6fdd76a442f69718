"""Negatives picked from a bank, and sums over their scores."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from cmim.functional.score_sums import log_sum_exp_scores, softplus_sum_scores


class Picked(NamedTuple):
    """Negatives of a step.

    Args:
        rows: Rows drawn, ``(N,)`` for all anchors or ``(A, N)``.
        allowed: ``(A, N)`` boolean, which of them are negatives of whom.
        counts: ``(A,)``, how many.
    """

    rows: Tensor
    allowed: Tensor
    counts: Tensor

    @classmethod
    def of(cls, rows: Tensor, allowed: Tensor) -> Picked:
        """With the count."""
        return cls(rows, allowed, allowed.count_nonzero(dim=1))


class SharedScores:
    """Sums over rows that all anchors share, ``(N, D)``."""

    def __init__(
        self, scaled: Tensor, rows: Tensor, allowed: Tensor, chunk: int
    ) -> None:
        self._call = (scaled, rows, lambda start, stop: allowed[:, start:stop])
        self._chunk = chunk

    def log_sum(self) -> Tensor:
        return log_sum_exp_scores(*self._call, chunk=self._chunk)

    def softplus_sum(self, shift: Tensor) -> Tensor:
        return softplus_sum_scores(*self._call, shift=shift, chunk=self._chunk)


class OwnScores:
    """Sums over rows of each anchor, ``(A, N, D)``."""

    def __init__(self, scaled: Tensor, rows: Tensor, allowed: Tensor) -> None:
        scores = torch.bmm(rows, scaled[:, :, None]).squeeze(2)
        self._scores = scores.masked_fill(~allowed, -math.inf)

    def log_sum(self) -> Tensor:
        return self._scores.logsumexp(dim=1)

    def softplus_sum(self, shift: Tensor) -> Tensor:
        return F.softplus(self._scores + shift).sum(dim=1)
