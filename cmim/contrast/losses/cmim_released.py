r"""What the released code of CMIM does, which is not what its text says.

NCE with the critic of CRD between the pooled last features of the binary network and
of a separate pretrained full-precision network, both projected by layers that stay as
initialised; negatives are rows of a bank that belong to other classes. The losses of
both directions are added. ``preset='cmim_released'`` chooses it.

Against the paper's text: the partner is another network, not the latent activation of
the same pass; one layer, not all; negatives by class. Against good practice: the
projections are in no optimizer; nor is the twin, so that the direction whose anchors
are the twin's features trains nothing (it is a constant for the binary network); the
twin runs in training mode, on the statistics of the batch; the binary network runs
twice a step; every anchor fetches its own 4,096 rows; bank and constants are saved in
no checkpoint, so a resumed run starts with another loss.

Kept: partner, layer, both directions, fixed projections, bank (momentum 0.5, uniform at
first), constants of the first step, classes of negatives, N = 4,096, tau = 0.1. Done
otherwise: the networks run once, the twin in evaluation mode; the features are averaged
over their places without the released network's batch-norm behind it; one draw of
negatives for all anchors of a step (``shared=False`` for one each, with replacement,
where the published draw is without); rows not met yet are noise and count as
negatives whatever their class; no 1e-7 in the denominators (the same gradient; the
value differs by 0.005 nats a direction for 50,000 rows); bank and constants are in the
checkpoint.

References: Shang et al., Network Binarization via Contrastive Learning, ECCV 2022.
https://arxiv.org/abs/2207.02970, https://github.com/42Shawn/CMIM
"""

from typing import Any

from cmim.contrast.bank_loss import BankLoss
from cmim.contrast.contrastive_loss import ContrastiveLoss
from cmim.contrast.layer_loss import LossBuilder

DEFAULTS: dict[str, Any] = dict(level="image", negatives="all")


def LOSS(
    rows: int = 50000,
    negatives: int = 4096,
    momentum: float = 0.5,
    shared: bool = True,
) -> LossBuilder:
    return lambda channels, partner_channels, options: BankLoss(
        channels, partner_channels, options, "cmim_released", rows, negatives, momentum,
        other_class=True, shared=shared, both_ways=True, projection="fixed",
    )  # fmt: skip


class CMIMReleased(ContrastiveLoss):
    """What the released code of CMIM does, as a class."""
