r"""NCE with the critic of CRD: Eq. 5 to 7 of the CMIM paper.

.. math::
    h(s) = \frac{e^s}{e^s + N/M}, \qquad
    L = -\log h(s^+) - \sum_{j \in N} \log(1 - h(s_j)), \qquad
    I \ge \log N - L

with N negatives per positive and M training samples. Anchors without negatives
contribute nothing.

References: Shang et al., Network Binarization via Contrastive Learning, ECCV 2022.
https://arxiv.org/abs/2207.02970. Gutmann and Hyvarinen, Noise-Contrastive Estimation,
AISTATS 2010.
"""

import math

from torch import Tensor

from cmim.contrast.layer_loss import LossBuilder
from cmim.contrast.pair_loss import Bound, pair_loss
from cmim.contrast.scores import Scores
from cmim.functional.bounds import nce_loss


class NceBound(Bound):
    """NCE; the estimate is ``log N`` minus the loss.

    Args:
        samples: M > 0, training samples (pixels, at pixel level).

    Raises:
        ValueError: ``samples`` is not positive.
    """

    def __init__(self, samples: float) -> None:
        super().__init__()
        if not samples > 0:
            raise ValueError(f"samples must be positive, got {samples}")
        self.samples = samples

    def forward(self, scores: Scores) -> Tensor:
        # One N for all anchors, so that N/M is a constant of the critic: the candidates
        # of an unlabelled batch and queue, each anchor's own positive left out.
        total = sum(len(block.vectors) for block in scores.candidates) - 1
        shift = math.log(max(total, 1) / self.samples)
        losses = nce_loss(scores.positive, scores.softplus_sum(-shift), shift)
        return losses * (scores.count > 0)

    def estimate(self, scores: Scores) -> Tensor:
        return (scores.count.clamp(min=1).log() - self(scores)).mean()


def LOSS(samples: float = 50000.0) -> LossBuilder:
    return pair_loss("nce", lambda _: NceBound(samples))
