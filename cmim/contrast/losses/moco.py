r"""MoCo: InfoNCE of queries against a queue of keys from a slowly moving encoder.

.. math::
    -\log \frac{e^{q \cdot k^+ / \tau}}
              {e^{q \cdot k^+ / \tau} + \sum_{k \in Q} e^{q \cdot k / \tau}}, \qquad
    W_k \leftarrow m\,W_k + (1 - m)\,W_q

The query is the projected binary activation; the key its partner, projected by a moving
average of the query's projection, without gradient. The negatives are the queue alone,
at pixel or image level; with labels, those known to carry another one. Until the first
batch has been queued there are none, and the loss is 0 (the published queue starts full
of noise). Published tau is 0.07 (for ours, ``model.temperature``).

References: He et al., Momentum Contrast for Unsupervised Visual Representation
Learning, CVPR 2020. https://arxiv.org/abs/1911.05722,
https://github.com/facebookresearch/moco
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from cmim.contrast.contrastive_loss import ContrastiveLoss
from cmim.contrast.gathering import mean_over_ranks
from cmim.contrast.layer_loss import LayerLoss, LossBuilder, Projection
from cmim.contrast.memory import ProjectionQueue
from cmim.contrast.options import BatchLabels, ContrastOptions
from cmim.contrast.pairs import IGNORED
from cmim.contrast.scores import Candidates, Scores
from cmim.functional.bounds import info_nce_loss


class MocoLoss(LayerLoss):
    """MoCo.

    Args:
        channels: Channels of the binary activation a_B.
        partner_channels: Channels of the partner a_F; the same.
        options: Shared options, with a queue.
        momentum: m in [0, 1].

    Raises:
        ValueError: No queue, unequal channels, or ``momentum`` outside [0, 1].
    """

    used = frozenset(ContrastOptions.__dataclass_fields__) - {"gather", "stop_gradient"}

    def __init__(
        self,
        channels: int,
        partner_channels: int,
        options: ContrastOptions,
        momentum: float,
    ) -> None:
        super().__init__(channels, partner_channels, options)
        if not options.queue:
            raise ValueError(
                "loss 'moco' has its negatives from a queue: give queue=65536 "
                "(model.queue in a config), or less for less memory"
            )
        if channels != partner_channels:
            raise ValueError(
                "loss 'moco' projects keys with an average of the queries' layer, and "
                f"they have {partner_channels} and {channels} channels: tap modules of "
                "one width"
            )
        if not 0 <= momentum <= 1:
            raise ValueError(f"momentum must be in [0, 1], got {momentum}")
        self.momentum = momentum
        self.project_query = Projection(channels, options.projection)
        self.project_key = Projection(channels, options.projection)
        self.project_key.load_state_dict(self.project_query.state_dict())
        self.project_key.requires_grad_(False)
        self.queue = ProjectionQueue(options.queue, options.projection)

    def compare(self, binary: Tensor, partner: Tensor, labels: BatchLabels) -> Tensor:
        positions, picked = self.draw(binary, labels)
        queries = self.project_query.at(binary, positions)
        with torch.no_grad():
            if self.training:
                self._follow()
            keys = self.project_key.at(partner, positions)
        past = self.queue
        theirs = None if picked is None else past.labels
        queue = [Candidates(past.rows, theirs, past.filled)]
        tau = self.options.temperature
        scores = Scores(queries, queue, picked, tau, self.options.chunk)
        positive = (queries * keys).sum(dim=1) / tau
        losses = info_nce_loss(positive, scores.log_sum)
        known = None if picked is None else (picked != IGNORED).to(losses.dtype)
        loss = mean_over_ranks(losses, known)
        if self.training:
            unknown = positions.new_full((len(keys),), IGNORED)
            self.queue.push(keys, unknown if picked is None else picked)
        return loss

    def _follow(self) -> None:
        pairs = zip(
            self.project_key.parameters(), self.project_query.parameters(), strict=True
        )
        for key, query in pairs:
            key.mul_(self.momentum).add_(query, alpha=1 - self.momentum)


DEFAULTS: dict[str, Any] = dict(queue=4096, negatives="all", temperature=0.07)


def LOSS(momentum: float = 0.999) -> LossBuilder:
    return lambda channels, partner_channels, options: MocoLoss(
        channels, partner_channels, options, momentum
    )


class MoCo(ContrastiveLoss):
    """MoCo, as a class."""
