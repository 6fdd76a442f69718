r"""I_alpha: between NWJ-like unbiasedness (alpha 0) and InfoNCE's calm (alpha 1).

Formula in :func:`cmim.functional.bounds.interpolated_bound`; never above
``1 + log(K - 1) - log(alpha)``. It needs the scores of all anchors with all candidates
at once, so it takes neither a queue nor labels, and is computed whole on every process.
The baseline is a learned linear function of the anchor's projection and starts at
a = e.

References: Poole et al., On Variational Bounds of Mutual Information, ICML 2019,
Eq. 11. https://arxiv.org/abs/1905.06922
"""

from typing import Any

from torch import Tensor, nn

from cmim.contrast.contrastive_loss import ContrastiveLoss
from cmim.contrast.gathering import gather_with_gradient
from cmim.contrast.layer_loss import LossBuilder
from cmim.contrast.pair_loss import Bound, PairLoss
from cmim.contrast.scores import Scores
from cmim.functional.bounds import interpolated_bound
from cmim.ranks import world_size


class InterpolatedBound(Bound):
    """I_alpha.

    Args:
        projection: Length of the anchors.
        alpha: In [0, 1].

    Raises:
        ValueError: ``alpha`` outside [0, 1].
    """

    def __init__(self, projection: int, alpha: float) -> None:
        super().__init__()
        if not 0 <= alpha <= 1:
            raise ValueError(f"alpha must be in [0, 1], got {alpha}")
        self.alpha = alpha
        self.log_baseline = nn.Linear(projection, 1)
        nn.init.zeros_(self.log_baseline.weight)
        nn.init.ones_(self.log_baseline.bias)

    def forward(self, scores: Scores) -> Tensor:
        if scores.labels is not None:
            raise ValueError(
                "loss 'interpolated' needs all candidates as negatives: set "
                "negatives='all'"
            )
        anchors, candidates = scores.anchors, scores.candidates[0].vectors
        gathered = len(candidates) == world_size() * len(anchors)
        everyone = gather_with_gradient(anchors) if gathered else anchors
        matrix = everyone @ candidates.T / scores.temperature
        log_baseline = self.log_baseline(everyone).squeeze(1)
        if len(matrix) < 3:
            # Distributed training wants a gradient, if 0, for every parameter.
            return ((matrix.sum() + log_baseline.sum()) * 0).expand(len(anchors))
        # At alpha 1 the baseline has no part in it, and would get no gradient.
        unused = log_baseline.sum() * 0
        loss = unused - interpolated_bound(matrix, log_baseline, self.alpha)
        return loss.expand(len(anchors))


class InterpolatedLoss(PairLoss):
    """I_alpha of a batch's pairs."""

    used = PairLoss.used - {"queue"}


DEFAULTS: dict[str, Any] = dict(negatives="all")


def LOSS(alpha: float = 0.5) -> LossBuilder:
    return lambda channels, partner_channels, options: InterpolatedLoss(
        channels,
        partner_channels,
        options,
        lambda size: InterpolatedBound(size, alpha),
        "interpolated",
    )


class Interpolated(ContrastiveLoss):
    """I_alpha, as a class."""
