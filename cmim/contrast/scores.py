"""The scores of anchors with their positive and their negatives, never all at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from cmim.contrast.pairs import other_label
from cmim.functional.score_sums import (
    CHUNK,
    count_allowed,
    log_add_exp,
    log_sum_exp_scores,
    softplus_sum_scores,
)


@dataclass(frozen=True)
class Candidates:
    """Vectors that anchors are scored with, and which of them are their negatives.

    Args:
        vectors: ``(B, D)``.
        labels: ``(B,)`` int64, -1 for unknown; None to take any as negative.
        valid: ``(B,)`` boolean; None when all rows hold something.
        first_positive: Candidate ``first_positive + i`` is the positive of anchor i and
            no negative of it; None when none of these is.
    """

    vectors: Tensor
    labels: Tensor | None = None
    valid: Tensor | None = None
    first_positive: int | None = None

    def allowed(
        self, anchor_labels: Tensor | None, anchors: int, start: int, stop: int
    ) -> Tensor | None:
        """Who is a negative of whom, boolean; None for all.

        ``(A, stop - start)``, or ``(1, stop - start)`` where all anchors are alike.
        """
        mask = None
        if anchor_labels is not None and self.labels is not None:
            mask = other_label(anchor_labels, self.labels[start:stop])
        if self.valid is not None:
            filled = self.valid[None, start:stop]
            mask = filled if mask is None else mask & filled
        own = self.first_positive
        if own is None or own >= stop or own + anchors <= start:
            return mask
        columns = torch.arange(start - own, stop - own, device=self.vectors.device)
        rows = torch.arange(anchors, device=self.vectors.device)
        others = rows[:, None] != columns[None, :]
        return others if mask is None else mask & others


class Scores:
    """What bounds are made of, per anchor.

    Args:
        anchors: ``(A, D)``.
        candidates: Blocks; the first has the positives.
        labels: ``(A,)`` labels of the anchors, -1 for unknown, or None.
        temperature: Scores are inner products divided by it.
        chunk: Candidates scored at a time.

    Examples:
        >>> block = Candidates(torch.eye(3), first_positive=0)
        >>> scores = Scores(torch.eye(3), [block], temperature=0.5)
        >>> scores.positive.tolist(), scores.count.tolist()
        ([2.0, 2.0, 2.0], [2.0, 2.0, 2.0])
        >>> scores.log_sum.exp().tolist()
        [2.0, 2.0, 2.0]
    """

    def __init__(
        self,
        anchors: Tensor,
        candidates: Sequence[Candidates],
        labels: Tensor | None = None,
        temperature: float = 1.0,
        chunk: int = CHUNK,
    ) -> None:
        self.anchors = anchors
        self.candidates = candidates
        self.labels = labels
        self.temperature = temperature
        self.chunk = chunk
        self._scaled = anchors / temperature

    @cached_property
    def positive(self) -> Tensor:
        """``(A,)`` score of each anchor with its own partner."""
        block = self.candidates[0]
        first = block.first_positive or 0
        own = block.vectors[first : first + len(self.anchors)]
        return (self._scaled * own).sum(dim=1)

    @cached_property
    def log_sum(self) -> Tensor:
        """``(A,)`` log of the negatives' summed exponentials, ``-inf`` for none."""
        sums = [
            log_sum_exp_scores(self._scaled, b.vectors, self._allowed(b), self.chunk)
            for b in self.candidates
        ]
        return sums[0] if len(sums) == 1 else log_add_exp(torch.stack(sums))

    @cached_property
    def log_mean(self) -> Tensor:
        """``(A,)`` log of the negatives' mean exponential score, ``-inf`` for none."""
        return self.log_sum - self.count.clamp(min=1).log()

    def softplus_sum(self, shift: float | Tensor = 0.0) -> Tensor:
        """``(A,)`` sum over the negatives of ``softplus(score + shift)``."""
        sums = [
            softplus_sum_scores(
                self._scaled, b.vectors, self._allowed(b), shift, self.chunk
            )
            for b in self.candidates
        ]
        return sum(sums[1:], sums[0])

    @cached_property
    def count(self) -> Tensor:
        """``(A,)`` number of negatives."""
        counts = [
            count_allowed(self.anchors, b.vectors, self._allowed(b), self.chunk)
            for b in self.candidates
        ]
        return sum(counts[1:], counts[0])

    def _allowed(self, block: Candidates):
        labels, anchors = self.labels, len(self.anchors)
        return lambda start, stop: block.allowed(labels, anchors, start, stop)
