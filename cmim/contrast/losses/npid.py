r"""NPID: tell every image from all others, by NCE with a memory of one row an image.

.. math::
    h(s) = \frac{e^s / Z}{e^s / Z + N/M}, \qquad
    L = -\log h(s^+) - \sum_{j=1}^N \log(1 - h(s_j))

Anchors are binary activations; the bank remembers the projections of their partners
(in the paper there is one network, so they are the same). One trained projection
serves both. Negatives are any other images; the published draw may hold the own one.
Published tau is 0.07 (for ours, ``model.temperature``). ``shared=False`` draws N rows
for every anchor as published instead of N for all.

Checked: value, gradients and bank of four steps with the same draws against the
authors' code (commit f7cfe29), float64: 2e-8, which is torch's softplus, linear above
20; without the 1e-7 that the code adds to its denominators.

References: Wu et al., Unsupervised Feature Learning via Non-Parametric Instance
Discrimination, CVPR 2018. https://arxiv.org/abs/1805.01978,
https://github.com/zhirongw/lemniscate.pytorch
"""

from typing import Any

from cmim.contrast.bank_loss import BankLoss
from cmim.contrast.contrastive_loss import ContrastiveLoss
from cmim.contrast.layer_loss import LossBuilder

DEFAULTS: dict[str, Any] = dict(level="image", negatives="all", temperature=0.07)


def LOSS(
    rows: int = 50000,
    negatives: int = 4096,
    momentum: float = 0.5,
    shared: bool = True,
) -> LossBuilder:
    return lambda channels, partner_channels, options: BankLoss(
        channels, partner_channels, options, "npid", rows, negatives, momentum,
        other_class=False, shared=shared, both_ways=False, projection="tied",
    )  # fmt: skip


class NPID(ContrastiveLoss):
    """NPID, as a class."""
