r"""Deep InfoMax: the summary of an image against its places, and a prior on it.

.. math::
    \alpha\, L(y, v) + \beta\, \mathrm{mean}_p\, L(y, l_p) + \gamma\, L_\text{prior}(y)

with y a summary of the pooled binary activation, :math:`l_p` the partner at sampled
places, v the pooled partner, and L either Jensen-Shannon (default) or InfoNCE with the
places of all other images as negatives. Scores are plain inner products of learned
linear maps. The prior trains a discriminator to tell sigmoid(y) from uniform noise,
and y to deceive it (with :math:`\gamma`; the discriminator's own loss has weight 1).
The value is no bound on mutual information unless ``objective='info_nce'`` and
:math:`\gamma = 0`.

It contrasts whole images with places, so ``level='image'`` is refused, as are labels
(an image has many) and a queue. One image alone has no negatives: only the prior is
left.

Checked: both objectives and the prior's losses against the authors' code (rdevon/DIM,
commit bac4765) in float64, given the same embeddings: values differ by 9e-16, gradients
by 4e-16. Jensen-Shannon is theirs plus 2 log 2. Their InfoNCE keeps the own image's
places in the denominator with the score -10; here they are left out (the comparison
changes that constant; as released the values differ by about 5e-6).

Simplified: their encoder is trained by this loss alone and a second network encodes
the whole feature map for the global score; here both summaries are pooled, and the
score networks are linear maps without their hidden and normalization layers; the
discriminator has no gradient penalty. The
default weights are ours; the paper has (1, 0, 1) for its global and (0, 1, 0.1) for
its local variant.

References: Hjelm et al., Learning Deep Representations by Mutual Information Estimation
and Maximization, ICLR 2019. https://arxiv.org/abs/1808.06670
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmim.contrast.contrastive_loss import ContrastiveLoss
from cmim.contrast.gathering import gather_with_gradient, mean_over_ranks
from cmim.contrast.layer_loss import LayerLoss, LossBuilder
from cmim.contrast.options import BatchLabels, ContrastOptions
from cmim.contrast.pairs import gather_pixels
from cmim.functional.bounds import info_nce_loss, jensen_shannon_loss
from cmim.functional.score_sums import log_sum_exp_scores, softplus_sum_scores
from cmim.ranks import rank

OBJECTIVES = ("jensen_shannon", "info_nce")


class PriorDiscriminator(nn.Module):
    """Tells summaries from uniform noise in [0, 1).

    Args:
        size: Length of a summary.
        hidden: Units of the two hidden layers.
    """

    def __init__(self, size: int, hidden: tuple[int, int] = (1000, 200)) -> None:
        super().__init__()
        sizes = (size, *hidden, 1)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))

    def forward(self, x: Tensor, frozen: bool = False) -> Tensor:
        """Scores ``(N,)``, high for noise; ``frozen``: no gradient to the weights."""
        for k, layer in enumerate(self.layers):
            assert isinstance(layer, nn.Linear)
            x = F.relu(x) if k else x
            if frozen:
                x = F.linear(x, layer.weight.detach(), layer.bias.detach())
            else:
                x = layer(x)
        return x.squeeze(1)

    def losses(self, summary: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """The summary's loss and the discriminator's, each ``(N,)``.

        Args:
            summary: ``(N, D)``, any real numbers.
            noise: ``(N, D)`` in [0, 1).
        """
        z = summary.sigmoid()
        deceive = F.softplus(-self(z, frozen=True))
        tell = F.softplus(-self(noise)) + F.softplus(self(z.detach()))
        return deceive, tell


class DeepInfoMaxLoss(LayerLoss):
    """Deep InfoMax.

    Args:
        channels: Channels of the binary activation a_B.
        partner_channels: Channels of the partner a_F.
        options: Shared options.
        alpha: Weight of the global term, >= 0.
        beta: Weight of the local term, >= 0.
        gamma: Weight of the prior, >= 0.
        objective: One of ``OBJECTIVES``.

    Raises:
        ValueError: A negative weight, or all zero; an unknown objective; labels.
    """

    used = frozenset(
        {"projection", "pixels", "sampling", "gather", "stop_gradient", "chunk"}
    )

    def __init__(
        self,
        channels: int,
        partner_channels: int,
        options: ContrastOptions,
        alpha: float = 0.5,
        beta: float = 1.0,
        gamma: float = 0.1,
        objective: str = "jensen_shannon",
    ) -> None:
        super().__init__(channels, partner_channels, options)
        weights = (alpha, beta, gamma)
        if not min(weights) >= 0 or max(weights) == 0:
            raise ValueError(
                "alpha, beta and gamma must not be negative, nor all 0, got "
                f"{alpha}, {beta}, {gamma}"
            )
        if objective not in OBJECTIVES:
            raise ValueError(
                f"objective {objective!r} is unknown; "
                f"choose from {', '.join(OBJECTIVES)}"
            )
        self.alpha, self.beta, self.gamma = weights
        self.objective = objective
        size = options.projection
        self.summary = nn.Linear(channels, size)
        self.whole = nn.Linear(partner_channels, size) if alpha else None
        self.places = nn.Linear(partner_channels, size) if beta else None
        self.prior = PriorDiscriminator(size) if gamma else None

    def compare(self, binary: Tensor, partner: Tensor, labels: BatchLabels) -> Tensor:
        if labels.exclude is not None:
            raise ValueError(
                "loss 'dim' contrasts whole images, which have no one label: set "
                "negatives='all', or choose another loss"
            )
        dtype = self.summary.weight.dtype
        summary = self.summary(binary.to(dtype).mean(dim=(2, 3)))
        losses = summary.new_zeros(len(summary))
        if self.whole is not None:
            whole = self.whole(partner.to(dtype).mean(dim=(2, 3)))
            losses = losses + self.alpha * self._contrast(summary, whole)
        if self.places is not None:
            positions, _ = self.draw(binary, labels)
            places = self.places(gather_pixels(partner, positions).to(dtype))
            losses = losses + self.beta * self._contrast(summary, places)
        if self.prior is not None:
            deceive, tell = self.prior.losses(summary, torch.rand_like(summary))
            losses = losses + self.gamma * deceive + tell
        return mean_over_ranks(losses)

    def _contrast(self, summary: Tensor, places: Tensor) -> Tensor:
        """Losses of the summaries ``(N,)``, given ``(N * P, D)`` places."""
        images = len(summary)
        each = len(places) // images
        positive = (summary[:, None] * places.view(images, each, -1)).sum(dim=2)
        gather = self.options.gather
        everyone = gather_with_gradient(places) if gather else places
        first = rank() * images if gather else 0
        if len(everyone) == each:
            return positive.mean(dim=1) * 0
        rows = torch.arange(images, device=places.device)[:, None] + first

        def other_image(start: int, stop: int) -> Tensor:
            return rows != torch.arange(start, stop, device=places.device) // each

        sums = (summary, everyone, other_image)
        chunk = self.options.chunk
        if self.objective == "info_nce":
            log_sum = log_sum_exp_scores(*sums, chunk)
            return info_nce_loss(positive, log_sum[:, None]).mean(dim=1)
        mean = softplus_sum_scores(*sums, chunk=chunk) / (len(everyone) - each)
        return jensen_shannon_loss(positive, mean[:, None]).mean(dim=1)


DEFAULTS: dict[str, Any] = dict(negatives="all")


def LOSS(
    alpha: float = 0.5,
    beta: float = 1.0,
    gamma: float = 0.1,
    objective: str = "jensen_shannon",
) -> LossBuilder:
    return lambda channels, partner_channels, options: DeepInfoMaxLoss(
        channels, partner_channels, options, alpha, beta, gamma, objective
    )


class DeepInfoMax(ContrastiveLoss):
    """Deep InfoMax, as a class."""
