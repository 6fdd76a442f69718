"""Contrast of paired samples: critic, pairs and a bound."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from cmim.contrast.gathering import (
    gather_ranks,
    gather_with_gradient,
    mean_over_ranks,
)
from cmim.contrast.layer_loss import LayerLoss, LossBuilder, Projection
from cmim.contrast.memory import ProjectionQueue
from cmim.contrast.options import BatchLabels, ContrastOptions
from cmim.contrast.pairs import IGNORED
from cmim.contrast.scores import Candidates, Scores
from cmim.ranks import rank


class Bound(nn.Module):
    """A bound on mutual information as a loss on scores.

    Subclasses implement :meth:`forward`; those with state (a moving average, a learned
    baseline) keep it here.
    """

    def forward(self, scores: Scores) -> Tensor:
        """Losses of the anchors, ``(A,)`` in nats; exactly 0 without negatives."""
        raise NotImplementedError

    def estimate(self, scores: Scores) -> Tensor:
        """The mutual information that the scores prove, a scalar in nats."""
        return -self(scores).mean()


class PairLoss(LayerLoss):
    r"""A bound on the scores of paired binary and full-precision samples.

    The anchor is the binary activation at a sampled place, its positive the partner's
    activation at the same place of the same image, its negatives other places and
    other images of the batch (of all processes), and of past batches if there is a
    queue. With labels, only samples known to carry another label are negatives, and
    those of unknown label take no part. Anchors are taken from both sides in turn, and
    the two losses averaged. The critic is the cosine of two learned projections over
    the temperature.

    Args:
        channels: Channels of the binary activation a_B.
        partner_channels: Channels of the partner a_F.
        options: Shared options.
        bounds: Makes the bound, given the length of the projections; one per direction.
        name: Name of the loss in configs.
    """

    used = frozenset(ContrastOptions.__dataclass_fields__)

    def __init__(
        self,
        channels: int,
        partner_channels: int,
        options: ContrastOptions,
        bounds: Callable[[int], Bound],
        name: str = "info_nce",
    ) -> None:
        super().__init__(channels, partner_channels, options, name)
        self.project_binary = Projection(channels, options.projection)
        self.project_partner = Projection(partner_channels, options.projection)
        self.queue = (
            ProjectionQueue(options.queue, options.projection)
            if options.queue
            else None
        )
        self.bound = bounds(options.projection)
        self.bound_reverse = bounds(options.projection)

    def compare(self, binary: Tensor, partner: Tensor, labels: BatchLabels) -> Tensor:
        positions, picked = self.draw(binary, labels)
        z_binary = self.project_binary.at(binary, positions)
        z_partner = self.project_partner.at(partner, positions)
        forward, backward = self.scores(z_binary, z_partner, picked)
        known = None if picked is None else (picked != IGNORED).to(z_binary.dtype)
        losses = (self.bound(forward) + self.bound_reverse(backward)) / 2
        loss = mean_over_ranks(losses, known)
        if self.queue is not None and self.training:
            unknown = positions.new_full((len(z_partner),), IGNORED)
            self.queue.push(z_partner, unknown if picked is None else picked)
        return loss

    def scores(
        self, z_binary: Tensor, z_partner: Tensor, labels: Tensor | None
    ) -> tuple[Scores, Scores]:
        """Binary anchors against partners and the queue, and partners against binary.

        Args:
            z_binary: ``(A, D)`` unit vectors.
            z_partner: ``(A, D)`` unit vectors.
            labels: ``(A,)``, or None.
        """
        gather = self.options.gather
        spread = gather_with_gradient if gather else lambda x: x
        first = rank() * len(z_binary) if gather else 0
        everyone = labels
        if labels is not None and gather:
            everyone = gather_ranks(labels)
        options = (labels, self.options.temperature, self.options.chunk)
        partners = [Candidates(spread(z_partner), everyone, None, first)]
        if self.queue is not None:
            past = self.queue
            theirs = None if labels is None else past.labels
            partners.append(Candidates(past.rows, theirs, past.filled))
        binaries = [Candidates(spread(z_binary), everyone, None, first)]
        return Scores(z_binary, partners, *options), Scores(
            z_partner, binaries, *options
        )


def pair_loss(name: str, bounds: Callable[[int], Bound]) -> LossBuilder:
    """A builder of pair losses with a bound.

    Args:
        name: Name of the loss in configs.
        bounds: Makes the bound, given the length of the projections.
    """

    def build(
        channels: int, partner_channels: int, options: ContrastOptions
    ) -> LayerLoss:
        return PairLoss(channels, partner_channels, options, bounds, name)

    return build
