r"""NWJ: an unbiased but variable lower bound.

.. math:: s^+ - e^{-1}\,\mathrm{mean}_j\, e^{s_j}

References: Nguyen, Wainwright, Jordan, Estimating Divergence Functionals and the
Likelihood Ratio by Convex Risk Minimization, IEEE Trans. Inf. Theory 2010. Poole et
al., On Variational Bounds of Mutual Information, ICML 2019, Eq. 7.
https://arxiv.org/abs/1905.06922
"""

from typing import Any

from torch import Tensor

from cmim.contrast.contrastive_loss import ContrastiveLoss
from cmim.contrast.layer_loss import LossBuilder
from cmim.contrast.pair_loss import Bound, pair_loss
from cmim.contrast.scores import Scores
from cmim.functional.bounds import nwj_loss


class NwjBound(Bound):
    """NWJ; at small temperatures its exponentials are large."""

    def forward(self, scores: Scores) -> Tensor:
        return nwj_loss(scores.positive, scores.log_mean) * (scores.count > 0)


DEFAULTS: dict[str, Any] = dict(temperature=1.0)


def LOSS() -> LossBuilder:
    return pair_loss("nwj", lambda _: NwjBound())


class NWJ(ContrastiveLoss):
    """NWJ, as a class."""
