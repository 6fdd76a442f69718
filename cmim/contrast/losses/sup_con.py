r"""SupCon: all samples known to carry the anchor's label are its positives.

.. math::
    -\frac{1}{|P(i)|} \sum_{p \in P(i)} \log
        \frac{e^{s_{ip}}}{\sum_{a \in A(i)} e^{s_{ia}}}

(L_out, the paper's choice.) It gathers classes instead of telling samples apart: no
bound on mutual information. Its least value is log of the number of positives, not 0.

Anchors are binary activations against all partners (and the queue), and partners
against all binary ones, averaged. ``views='both'`` adds the anchor's own side to its
candidates, as in the paper, where two views come from one network. Anchors and
candidates of unknown label take no part at all.

Checked: with ``views='both'`` against the authors' code (HobbitLong/SupContrast,
commit 66a8fe5, temperature = base temperature) in float64:
values differ by 2e-15, gradients by 4e-16. Their factor
temperature / base_temperature is left out.

References: Khosla et al., Supervised Contrastive Learning, NeurIPS 2020, Eq. 2.
https://arxiv.org/abs/2004.11362
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from cmim.contrast.contrastive_loss import ContrastiveLoss
from cmim.contrast.gathering import (
    gather_ranks,
    gather_with_gradient,
    mean_over_ranks,
)
from cmim.contrast.layer_loss import LayerLoss, LossBuilder, Projection
from cmim.contrast.memory import ProjectionQueue
from cmim.contrast.options import BatchLabels, ContrastOptions
from cmim.contrast.pairs import IGNORED
from cmim.contrast.scores import Candidates
from cmim.functional.score_sums import log_add_exp, log_sum_exp_scores
from cmim.functional.supervised_contrastive import (
    sum_positives,
    supervised_contrastive_loss,
)
from cmim.ranks import rank

VIEWS = ("cross", "both")
# (start, stop) -> (A, stop - start) boolean.
Mask = Callable[[int, int], Tensor]


class SupConLoss(LayerLoss):
    """Supervised contrast.

    Args:
        channels: Channels of the binary activation a_B.
        partner_channels: Channels of the partner a_F.
        options: Shared options.
        views: ``'cross'``: candidates are the other side's; ``'both'``: both sides'.

    Raises:
        ValueError: Unknown ``views``; no labels.
    """

    used = frozenset(ContrastOptions.__dataclass_fields__)
    needs_labels = True

    def __init__(
        self,
        channels: int,
        partner_channels: int,
        options: ContrastOptions,
        views: str = "cross",
    ) -> None:
        super().__init__(channels, partner_channels, options)
        if views not in VIEWS:
            raise ValueError(
                f"views {views!r} is unknown; choose from {', '.join(VIEWS)}"
            )
        self.views = views
        self.project_binary = Projection(channels, options.projection)
        self.project_partner = Projection(partner_channels, options.projection)
        self.queue = (
            ProjectionQueue(options.queue, options.projection)
            if options.queue
            else None
        )

    def compare(self, binary: Tensor, partner: Tensor, labels: BatchLabels) -> Tensor:
        positions, picked = self.draw(binary, self._with_classes(labels))
        if picked is None:
            raise ValueError(
                "loss 'sup_con' needs labels, and the batch has none: set negatives="
                "'other_label' or 'other_class' (and load labels), or another loss"
            )
        z_binary = self.project_binary.at(binary, positions)
        z_partner = self.project_partner.at(partner, positions)
        binaries = self._everyone(z_binary, picked)
        partners = self._everyone(z_partner, picked)
        past = [] if self.queue is None else [self._past()]
        forward = self._losses(z_binary, picked, [partners, *past], binaries)
        backward = self._losses(z_partner, picked, [binaries], partners)
        known = (picked != IGNORED).to(forward.dtype)
        loss = mean_over_ranks((forward + backward) / 2, known)
        if self.queue is not None and self.training:
            self.queue.push(z_partner, picked)
        return loss

    def _with_classes(self, labels: BatchLabels) -> BatchLabels:
        """At image level the classes of the images will do for labels."""
        if (
            labels.exclude is None
            and labels.classes is not None
            and self.options.level == "image"
        ):
            return replace(labels, exclude=labels.classes.view(-1, 1, 1))
        return labels

    def _everyone(self, vectors: Tensor, labels: Tensor) -> Candidates:
        if not self.options.gather:
            return Candidates(vectors, labels, None, 0)
        first = rank() * len(vectors)
        return Candidates(
            gather_with_gradient(vectors), gather_ranks(labels), None, first
        )

    def _past(self) -> Candidates:
        assert self.queue is not None
        # Rows not yet filled carry the unknown label: they take no part.
        return Candidates(self.queue.rows, self.queue.labels)

    def _losses(
        self,
        anchors: Tensor,
        labels: Tensor,
        others: list[Candidates],
        same_side: Candidates,
    ) -> Tensor:
        scaled, chunk = anchors / self.options.temperature, self.options.chunk
        blocks = [(block, False) for block in others]
        if self.views == "both":
            blocks.append((same_side, True))
        sums, counts, logs = [], [], []
        for block, itself in blocks:
            part, same = _masks(labels, block, itself)
            total, count = sum_positives(block.vectors, same, chunk)
            sums.append(total)
            counts.append(count)
            logs.append(log_sum_exp_scores(scaled, block.vectors, part, chunk))
        positives = torch.stack(counts).sum(dim=0).clamp(min=1)
        mean = (scaled * torch.stack(sums).sum(dim=0)).sum(dim=1) / positives
        log_sum = log_add_exp(torch.stack(logs))
        return supervised_contrastive_loss(mean, log_sum, labels != IGNORED)


def _masks(labels: Tensor, block: Candidates, itself: bool) -> tuple[Mask, Mask]:
    """Who takes part for whom, and who is a positive of whom, by slices of the block.

    Args:
        labels: ``(A,)`` of the anchors.
        block: The candidates.
        itself: Whether candidate ``first_positive + i`` is the anchor i itself.
    """
    assert block.labels is not None
    theirs, first = block.labels, block.first_positive or 0
    rows = torch.arange(len(labels), device=labels.device)[:, None] + first

    def part(start: int, stop: int) -> Tensor:
        columns = torch.arange(start, stop, device=labels.device)
        known = (labels != IGNORED)[:, None] & (theirs[start:stop] != IGNORED)
        return known & (rows != columns) if itself else known

    def same(start: int, stop: int) -> Tensor:
        return part(start, stop) & (labels[:, None] == theirs[start:stop])

    return part, same


DEFAULTS: dict[str, Any] = dict(negatives="other_label")


def LOSS(views: str = "cross") -> LossBuilder:
    return lambda channels, partner_channels, options: SupConLoss(
        channels, partner_channels, options, views
    )


class SupCon(ContrastiveLoss):
    """SupCon, as a class."""
