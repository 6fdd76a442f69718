r"""JS: trains the critic to the log density ratio with bounded gradients.

.. math:: \operatorname{softplus}(-s^+) + \mathrm{mean}_j \operatorname{softplus}(s_j)

References: Nowozin et al., f-GAN, NeurIPS 2016. https://arxiv.org/abs/1606.00709.
Hjelm et al., Deep InfoMax, ICLR 2019. https://arxiv.org/abs/1808.06670
"""

from torch import Tensor

from cmim.contrast.contrastive_loss import ContrastiveLoss
from cmim.contrast.layer_loss import LossBuilder
from cmim.contrast.pair_loss import Bound, pair_loss
from cmim.contrast.scores import Scores
from cmim.functional.bounds import jensen_shannon_loss, nwj_loss


class JensenShannonBound(Bound):
    """JS; the estimate is NWJ's at scores one higher."""

    def forward(self, scores: Scores) -> Tensor:
        mean = scores.softplus_sum() / scores.count.clamp(min=1)
        return jensen_shannon_loss(scores.positive, mean) * (scores.count > 0)

    def estimate(self, scores: Scores) -> Tensor:
        return -nwj_loss(scores.positive + 1, scores.log_mean + 1).mean()


def LOSS() -> LossBuilder:
    return pair_loss("jensen_shannon", lambda _: JensenShannonBound())


class JensenShannon(ContrastiveLoss):
    """JS, as a class."""
