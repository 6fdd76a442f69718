r"""DV, the bound of Donsker and Varadhan.

.. math:: \mathrm{mean}\, s^+ - \log \mathrm{mean}\, e^{s}

The second mean is over all pairs of all processes. It is tight, but its gradient from a
batch is biased: ``mine`` mends that.

References: Donsker and Varadhan 1983; Belghazi et al., Mutual Information Neural
Estimation, ICML 2018. https://arxiv.org/abs/1801.04062
"""

from torch import Tensor

from cmim.contrast.contrastive_loss import ContrastiveLoss
from cmim.contrast.gathering import gather_ranks, gather_with_gradient
from cmim.contrast.layer_loss import LossBuilder
from cmim.contrast.pair_loss import Bound, pair_loss
from cmim.contrast.scores import Scores
from cmim.functional.bounds import donsker_varadhan_loss
from cmim.functional.score_sums import log_add_exp


def log_mean_of_all_pairs(scores: Scores) -> Tensor:
    """Log-mean-exp over the negatives of all anchors of all processes, a scalar.

    ``-inf`` where none of them has any.
    """
    log_sums = gather_with_gradient(scores.log_sum)
    count = gather_ranks(scores.count).sum()
    return log_add_exp(log_sums) - count.clamp(min=1).log()


class DonskerVaradhanBound(Bound):
    """DV."""

    def forward(self, scores: Scores) -> Tensor:
        log_mean = log_mean_of_all_pairs(scores)
        # Without any negative the loss is 0; -inf * 0 would be NaN.
        log_mean = log_mean.masked_fill(log_mean == float("-inf"), 0)
        return donsker_varadhan_loss(scores.positive, log_mean) * (scores.count > 0)


def LOSS() -> LossBuilder:
    return pair_loss("donsker_varadhan", lambda _: DonskerVaradhanBound())


class DonskerVaradhan(ContrastiveLoss):
    """DV, as a class."""
