r"""MINE: Donsker and Varadhan's bound with an unbiased gradient in the long run.

Value: as ``donsker_varadhan``. Gradient: that of
:math:`-s^+ + \frac{\mathrm{mean}\, e^{s}}{\mathrm{EMA}(\mathrm{mean}\, e^{s})}` with
the moving average held constant. The average is a buffer: checkpoints keep it.

References: Belghazi et al., Mutual Information Neural Estimation, ICML 2018, section
3.2. https://arxiv.org/abs/1801.04062
"""

import math

import torch
from torch import Tensor

from cmim.contrast.contrastive_loss import ContrastiveLoss
from cmim.contrast.layer_loss import LossBuilder
from cmim.contrast.losses.donsker_varadhan import log_mean_of_all_pairs
from cmim.contrast.pair_loss import Bound, pair_loss
from cmim.contrast.scores import Scores
from cmim.functional.bounds import donsker_varadhan_loss


class MineBound(Bound):
    """MINE.

    Args:
        rate: Share of the new value in the moving average, in (0, 1].

    Raises:
        ValueError: ``rate`` outside (0, 1].
    """

    log_average: Tensor

    def __init__(self, rate: float) -> None:
        super().__init__()
        if not 0 < rate <= 1:
            raise ValueError(f"rate must be in (0, 1], got {rate}")
        self.rate = rate
        self.register_buffer("log_average", torch.full((), float("nan")))

    def forward(self, scores: Scores) -> Tensor:
        log_mean = log_mean_of_all_pairs(scores)
        # Without any negative the loss is 0; -inf * 0 would be NaN.
        nothing = log_mean == float("-inf")
        log_mean = log_mean.masked_fill(nothing, 0)
        average = self._average(log_mean.detach(), nothing)
        # Zero in value, the wanted gradient in the backward pass.
        gradient = (log_mean - average).exp()
        value = log_mean.detach() + gradient - gradient.detach()
        return donsker_varadhan_loss(scores.positive, value) * (scores.count > 0)

    @torch.no_grad()
    def _average(self, log_mean: Tensor, nothing: Tensor) -> Tensor:
        old = self.log_average.to(log_mean.dtype)
        kept = math.log1p(-self.rate) if self.rate < 1 else float("-inf")
        new = torch.logaddexp(old + kept, log_mean + math.log(self.rate))
        new = torch.where(old.isnan(), log_mean, new)
        if self.training:
            self.log_average.copy_(torch.where(nothing, old, new))
        return new


def LOSS(rate: float = 0.01) -> LossBuilder:
    return pair_loss("mine", lambda _: MineBound(rate))


class MINE(ContrastiveLoss):
    """MINE, as a class."""
