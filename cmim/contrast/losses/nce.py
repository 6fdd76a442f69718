r"""NCE with the critic of CRD: Eq. 5 to 7 of the CMIM paper.

.. math::
    h(s) = \frac{e^s / Z}{e^s / Z + N/M}, \qquad
    L = -\log h(s^+) - \sum_{j \in N} \log(1 - h(s_j)), \qquad
    I \ge \log N - L

with N negatives per positive and M training samples. The paper prints no Z
(``normalise=False``); the code it builds on, and its own, estimate
:math:`Z = M \cdot \mathrm{mean}\, e^s` from the first batch and keep it
(``normalise=True``, the default), which makes M cancel and the loss start near
:math:`1 + \log N`. Here Z is a buffer: a resumed run keeps its loss. As printed,
negatives dominate: N/M is small, so that h is near 1 for all of them.

Anchors without negatives contribute nothing.

References: Shang et al., Network Binarization via Contrastive Learning, ECCV 2022.
https://arxiv.org/abs/2207.02970. Tian et al., Contrastive Representation Distillation,
ICLR 2020. https://arxiv.org/abs/1910.10699. Gutmann and Hyvarinen, Noise-Contrastive
Estimation, AISTATS 2010.
"""

import math
from typing import Any

import torch
from torch import Tensor

from cmim.contrast.contrastive_loss import ContrastiveLoss
from cmim.contrast.layer_loss import LossBuilder
from cmim.contrast.losses.donsker_varadhan import log_mean_of_all_pairs
from cmim.contrast.pair_loss import Bound, pair_loss
from cmim.contrast.scores import Scores
from cmim.functional.bounds import nce_loss


class NceBound(Bound):
    """NCE; the estimate is ``log N`` minus the loss.

    Args:
        samples: M > 0, training samples (pixels, at pixel level); for
            ``normalise=False`` only, where None stands for 50,000.
        normalise: Divide by Z, fixed at the first training step.

    Raises:
        ValueError: ``samples`` is not positive, or would have no effect.
    """

    log_mean: Tensor

    def __init__(self, samples: float | None = None, normalise: bool = True) -> None:
        super().__init__()
        if normalise and samples is not None:
            raise ValueError(
                f"samples={samples} has no effect in loss 'nce': Z makes M cancel; "
                "leave it out, or set normalise=False"
            )
        samples = 50000.0 if samples is None else samples
        if not samples > 0:
            raise ValueError(f"samples must be positive, got {samples}")
        self.samples = samples
        self.normalise = normalise
        self.register_buffer("log_mean", torch.full((), float("nan")))
        self._started = False

    def _load_from_state_dict(self, *args: Any) -> None:
        super()._load_from_state_dict(*args)
        self._started = False

    def forward(self, scores: Scores) -> Tensor:
        # One N for all anchors, so that N/M is a constant of the critic: the candidates
        # of an unlabelled batch and queue, each anchor's own positive left out.
        total = sum(len(block.vectors) for block in scores.candidates) - 1
        shift = self._log_ratio(scores, max(total, 1))
        losses = nce_loss(scores.positive, scores.softplus_sum(-shift), shift)
        return torch.where(scores.count > 0, losses, losses * 0)

    def _log_ratio(self, scores: Scores, total: int) -> Tensor:
        r"""Logarithm of :math:`Z N / M`."""
        like = scores.anchors.new_zeros(())
        if not self.normalise:
            return like + math.log(total / self.samples)
        if self._started:
            return math.log(total) + self.log_mean.to(like.dtype)
        with torch.no_grad():
            now = log_mean_of_all_pairs(scores)
            # A batch without any negative says nothing about Z.
            first = self.log_mean.isnan() & now.isfinite()
            kept = torch.where(first, now.to(self.log_mean.dtype), self.log_mean)
            if self.training:
                self.log_mean.copy_(kept)
                # Asked until it is known and then no more: asking waits for a GPU.
                self._started = bool(kept.isfinite())
        return math.log(total) + torch.nan_to_num(kept).to(like.dtype)

    def estimate(self, scores: Scores) -> Tensor:
        return (scores.count.clamp(min=1).log() - self(scores)).mean()


def LOSS(samples: float | None = None, normalise: bool = True) -> LossBuilder:
    return pair_loss("nce", lambda _: NceBound(samples, normalise))


class NCE(ContrastiveLoss):
    """NCE with the critic of CRD, as a class."""
