r"""InfoNCE: a lower bound on mutual information with little variance, at most log K.

Forward: :math:`-\log \frac{e^{s^+}}{e^{s^+} + \sum_{j \in N} e^{s_j}}`.

References: van den Oord et al., Representation Learning with Contrastive Predictive
Coding, 2018. https://arxiv.org/abs/1807.03748
"""

from torch import Tensor

from cmim.contrast.contrastive_loss import ContrastiveLoss
from cmim.contrast.layer_loss import LossBuilder
from cmim.contrast.pair_loss import Bound, pair_loss
from cmim.contrast.scores import Scores
from cmim.functional.bounds import info_nce_loss


class InfoNceBound(Bound):
    """InfoNCE; the estimate is ``log(1 + negatives)`` minus the loss."""

    def forward(self, scores: Scores) -> Tensor:
        return info_nce_loss(scores.positive, scores.log_sum)

    def estimate(self, scores: Scores) -> Tensor:
        return (scores.count.log1p() - self(scores)).mean()


def LOSS() -> LossBuilder:
    return pair_loss("info_nce", lambda _: InfoNceBound())


class InfoNCE(ContrastiveLoss):
    """InfoNCE, as a class."""
