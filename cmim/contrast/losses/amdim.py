r"""AMDIM: InfoNCE between the two sides across scales.

Both sides are averaged to 1x1, 5x5 and 7x7 places and embedded by a linear map per side
and scale. A place of one side is to find every place of its own image on the other
side, among all places of all other images: 1x1 to 5x5, 1x1 to 7x7 and 5x5 to 5x5, both
ways, averaged over the ways and summed over the three. Scores are
:math:`s = \langle x, y\rangle / \sqrt{D}`, clipped to :math:`20 \tanh(s / 20)`; the
mean :math:`s^2`, which keeps them from the ends of the clip, is added with the weight
0.05. The value is three times InfoNCE in nats plus that term: no bound by itself.

It needs places, so ``level='image'`` is refused; all places take part, so ``pixels``
and ``sampling`` are; and a place of a coarse grid has no one label, so labels are.
Maps smaller than a grid are taken as they are.

Checked: against the authors' code (Philip-Bachman/amdim-public, commit 8754ae1) in
float64, from embeddings on: values differ by 2e-14 (relative 1e-16), gradients by
4e-16; as released, which rounds scores to float32, by 2e-5. They draw one place of the
5x5 an image as source; here all are taken, the mean over that draw.

Simplified: their 1x1, 5x5 and 7x7 are three depths of one encoder, embedded by small
residual networks (5x5, 7x7) and not at all (1x1); their two sides are augmented views.

References: Bachman et al., Learning Representations by Maximizing Mutual Information
Across Views, NeurIPS 2019. https://arxiv.org/abs/1906.00910
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmim.contrast.contrastive_loss import ContrastiveLoss
from cmim.contrast.gathering import gather_with_gradient, mean_over_ranks
from cmim.contrast.layer_loss import LayerLoss, LossBuilder
from cmim.contrast.options import BatchLabels, ContrastOptions
from cmim.functional.multiscale_nce import own_places_nce, soft_clip
from cmim.ranks import rank

SCALES = (1, 5, 7)
# Source and target, as indices of SCALES.
TERMS = ((0, 1), (0, 2), (1, 1))


class AmdimLoss(LayerLoss):
    """AMDIM.

    Args:
        channels: Channels of the binary activation a_B.
        partner_channels: Channels of the partner a_F.
        options: Shared options.
        clip: Half-width of the range of scores, > 0.
        penalty: Weight of the mean squared score before the clip, >= 0.

    Raises:
        ValueError: An option out of range; labels.
    """

    # Of pixels: all places are anchors, so a config's number of them does no harm.
    used = frozenset({"projection", "gather", "stop_gradient", "pixels"})

    def __init__(
        self,
        channels: int,
        partner_channels: int,
        options: ContrastOptions,
        clip: float = 20.0,
        penalty: float = 0.05,
    ) -> None:
        super().__init__(channels, partner_channels, options)
        if not clip > 0:
            raise ValueError(f"clip must be positive, got {clip}")
        if not penalty >= 0:
            raise ValueError(f"penalty must not be negative, got {penalty}")
        self.clip, self.penalty = clip, penalty
        size = options.projection
        self.embed_binary = nn.ModuleList(nn.Linear(channels, size) for _ in SCALES)
        self.embed_partner = nn.ModuleList(
            nn.Linear(partner_channels, size) for _ in SCALES
        )

    def compare(self, binary: Tensor, partner: Tensor, labels: BatchLabels) -> Tensor:
        if labels.exclude is not None:
            raise ValueError(
                "loss 'amdim' contrasts coarse places, which have no one label: set "
                "negatives='all', or choose another loss"
            )
        return self.contrast(
            _embed(binary, self.embed_binary), _embed(partner, self.embed_partner)
        )

    def contrast(self, ours: list[Tensor], theirs: list[Tensor]) -> Tensor:
        """The loss of embedded places.

        Args:
            ours: ``(N, T, D)`` for each scale.
            theirs: Likewise, of the other side.
        """
        losses = []
        for sources, targets in ((ours, theirs), (theirs, ours)):
            everyone = [self._gather(target) for target in targets]
            losses += [self._term(sources[s], everyone[t]) for s, t in TERMS]
        return mean_over_ranks(torch.stack(losses)) * len(TERMS)

    def _gather(self, x: Tensor) -> Tensor:
        return gather_with_gradient(x) if self.options.gather else x

    def _term(self, sources: Tensor, targets: Tensor) -> Tensor:
        """``(N, S, D)`` against ``(M, T, D)``, a scalar."""
        images, places, size = sources.shape
        raw = sources.flatten(0, 1) @ targets.flatten(0, 1).T / size**0.5
        scores = soft_clip(raw, self.clip).view(-1, *targets.shape[:2])
        first = rank() * images if self.options.gather else 0
        own = torch.arange(images, device=raw.device).repeat_interleave(places) + first
        return own_places_nce(scores, own).mean() + self.penalty * raw.square().mean()


def _embed(features: Tensor, layers: nn.ModuleList) -> list[Tensor]:
    """``(N, places, D)`` for each of ``SCALES``."""
    embedded = []
    for scale, layer in zip(SCALES, layers, strict=True):
        assert isinstance(layer, nn.Linear)
        size = (min(scale, features.shape[2]), min(scale, features.shape[3]))
        pooled = F.adaptive_avg_pool2d(features.to(layer.weight.dtype), size)
        embedded.append(layer(pooled.flatten(2).mT))
    return embedded


DEFAULTS: dict[str, Any] = dict(negatives="all")


def LOSS(clip: float = 20.0, penalty: float = 0.05) -> LossBuilder:
    return lambda channels, partner_channels, options: AmdimLoss(
        channels, partner_channels, options, clip, penalty
    )


class AMDIM(ContrastiveLoss):
    """AMDIM, as a class."""
