r"""TUBA: NWJ with a learned baseline a(x) for each anchor.

.. math:: 1 + s^+ - \log a - \tfrac{1}{a}\,\mathrm{mean}_j\, e^{s_j}

The baseline is a linear function of the anchor's projection and starts at ``a = e``,
which is NWJ.

References: Poole et al., On Variational Bounds of Mutual Information, ICML 2019, Eq. 6.
https://arxiv.org/abs/1905.06922
"""

from typing import Any

from torch import Tensor, nn

from cmim.contrast.contrastive_loss import ContrastiveLoss
from cmim.contrast.layer_loss import LossBuilder
from cmim.contrast.pair_loss import Bound, pair_loss
from cmim.contrast.scores import Scores
from cmim.functional.bounds import tuba_loss


class TubaBound(Bound):
    """TUBA.

    Args:
        projection: Length of the anchors.
    """

    def __init__(self, projection: int) -> None:
        super().__init__()
        self.log_baseline = nn.Linear(projection, 1)
        nn.init.zeros_(self.log_baseline.weight)
        nn.init.ones_(self.log_baseline.bias)

    def forward(self, scores: Scores) -> Tensor:
        log_baseline = self.log_baseline(scores.anchors).squeeze(1)
        losses = tuba_loss(scores.positive, scores.log_mean, log_baseline)
        return losses * (scores.count > 0)


DEFAULTS: dict[str, Any] = dict(temperature=1.0)


def LOSS() -> LossBuilder:
    return pair_loss("tuba", TubaBound)


class TUBA(ContrastiveLoss):
    """TUBA, as a class."""
