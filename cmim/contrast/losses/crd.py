r"""CRD: NCE between two networks' features, against banks of both, in both directions.

.. math::
    h(s) = \frac{e^s / Z}{e^s / Z + N/M}, \qquad
    L = -\log h(s^+) - \sum_{j=1}^N \log(1 - h(s_j))

once with binary anchors and a bank of partners, once the other way round; added. As
``cmim_released``, with projections that are trained. Published tau is 0.07 (for ours,
``model.temperature``). ``other_class=False`` takes any other image as negative, and
needs no classes. ``shared=False`` draws N rows for every anchor as published (there
without replacement) instead of N for all.

Checked: value, gradients and banks of four steps with the same draws against the
authors' code (commit b84f547), float64: 4e-8, which is torch's softplus, linear above
20; without the 1e-7 that the code adds to its denominators.

References: Tian et al., Contrastive Representation Distillation, ICLR 2020.
https://arxiv.org/abs/1910.10699, https://github.com/HobbitLong/RepDistiller
"""

from typing import Any

from cmim.contrast.bank_loss import BankLoss
from cmim.contrast.contrastive_loss import ContrastiveLoss
from cmim.contrast.layer_loss import LossBuilder

DEFAULTS: dict[str, Any] = dict(level="image", negatives="all", temperature=0.07)


def LOSS(
    rows: int = 50000,
    negatives: int = 16384,
    momentum: float = 0.5,
    other_class: bool = True,
    shared: bool = True,
) -> LossBuilder:
    return lambda channels, partner_channels, options: BankLoss(
        channels, partner_channels, options, "crd", rows, negatives, momentum,
        other_class=other_class, shared=shared, both_ways=True,
    )  # fmt: skip


class CRD(ContrastiveLoss):
    """CRD, as a class."""
