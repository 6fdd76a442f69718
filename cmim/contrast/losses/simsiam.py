r"""SimSiam: predict the partner's projection, without negatives.

.. math::
    \tfrac12 D(q(z_B), \mathrm{sg}(z_F)) + \tfrac12 D(q(z_F), \mathrm{sg}(z_B)),
    \qquad D(p, z) = -\cos(p, z)

with a predictor q. In [-1, 1]; no bound on mutual information. Nothing but the
stopped gradient and the predictor keeps the projections from collapsing to a constant.

The targets are always held constant, whatever ``stop_gradient`` says; that option
says whether the second half reaches the partner's network (False), or ends at its
projection (True). There are no negatives: of labels it matters only whether they are
known (anchors of unknown label count in the statistics, not in the loss); queue,
temperature and chunk are refused. ``gather`` joins the statistics of batch
normalization over all processes.

Simplified: the projection is one linear layer and a batch normalization instead of
three; one for each side, as the sides differ in channels. The predictor is the
paper's and is shared. A batch of one sample has no spread: it gives 0.

Checked: the criterion and the predictor against the authors' code
(facebookresearch/simsiam, commit a7bc177) in float64, training and
evaluation: values differ by 3e-17, gradients by 3e-17, running statistics by 3e-16.

References: Chen and He, Exploring Simple Siamese Representation Learning, CVPR 2021.
https://arxiv.org/abs/2011.10566
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cmim.contrast.contrastive_loss import ContrastiveLoss
from cmim.contrast.gathering import gather_with_gradient, mean_over_ranks
from cmim.contrast.layer_loss import LayerLoss, LossBuilder
from cmim.contrast.options import BatchLabels, ContrastOptions
from cmim.contrast.pairs import IGNORED, gather_pixels
from cmim.functional.siamese import negative_cosine
from cmim.ranks import world_size


class JointBatchNorm(nn.Module):
    """Batch normalization over the joined batch of all processes, on any device.

    No subclass of torch's, which the runner's ``sync_bn`` would replace. Of a single
    sample the output is the bias.

    Args:
        channels: Length of the vectors.
        affine: Whether scale and bias are learned.
        gather: Whether the statistics are those of all processes.
        eps: Added to the variance.
        rate: Share of the newest batch in the running statistics.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(
        self,
        channels: int,
        affine: bool,
        gather: bool,
        eps: float = 1e-5,
        rate: float = 0.1,
    ) -> None:
        super().__init__()
        self.gather, self.eps, self.rate = gather, eps, rate
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if affine else None
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        mean, variance = self.running_mean, self.running_var
        if self.training:
            mean = self._mean(x)
            variance = self._mean((x - mean).square())
            self._track(mean, variance, len(x) * (world_size() if self.gather else 1))
        x = (x - mean) * (variance + self.eps).rsqrt()
        if self.weight is None or self.bias is None:
            return x
        return x * self.weight + self.bias

    def _mean(self, x: Tensor) -> Tensor:
        mean = x.mean(dim=0, keepdim=True)
        return (gather_with_gradient(mean) if self.gather else mean).mean(dim=0)

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor, count: int) -> None:
        self.running_mean.lerp_(mean, self.rate)
        self.running_var.lerp_(variance * (count / max(count - 1, 1)), self.rate)


class SimSiamLoss(LayerLoss):
    """SimSiam.

    Args:
        channels: Channels of the binary activation a_B.
        partner_channels: Channels of the partner a_F.
        options: Shared options.
        hidden: Units of the predictor's hidden layer; None for a quarter of the
            projection, the paper's bottleneck.

    Raises:
        ValueError: ``hidden`` is not positive.
    """

    used = frozenset(
        {"projection", "level", "pixels", "sampling", "gather", "stop_gradient"}
    )

    def __init__(
        self,
        channels: int,
        partner_channels: int,
        options: ContrastOptions,
        hidden: int | None = None,
    ) -> None:
        super().__init__(channels, partner_channels, options)
        size = options.projection
        hidden = max(size // 4, 1) if hidden is None else hidden
        if hidden < 1:
            raise ValueError(f"hidden must be positive, got {hidden}")
        gather = options.gather
        self.project_binary = nn.Sequential(
            nn.Linear(channels, size, bias=False), JointBatchNorm(size, False, gather)
        )
        self.project_partner = nn.Sequential(
            nn.Linear(partner_channels, size, bias=False),
            JointBatchNorm(size, False, gather),
        )
        self.predictor = nn.Sequential(
            nn.Linear(size, hidden, bias=False),
            JointBatchNorm(hidden, True, gather),
            nn.ReLU(),
            nn.Linear(hidden, size),
        )

    def compare(self, binary: Tensor, partner: Tensor, labels: BatchLabels) -> Tensor:
        positions, picked = self.draw(binary, labels)
        dtype = next(self.parameters()).dtype
        z_binary = self.project_binary(gather_pixels(binary, positions).to(dtype))
        z_partner = self.project_partner(gather_pixels(partner, positions).to(dtype))
        forward = negative_cosine(self.predictor(z_binary), z_partner)
        backward = negative_cosine(self.predictor(z_partner), z_binary)
        known = None if picked is None else (picked != IGNORED).to(dtype)
        return mean_over_ranks((forward + backward) / 2, known)


def LOSS(hidden: int | None = None) -> LossBuilder:
    return lambda channels, partner_channels, options: SimSiamLoss(
        channels, partner_channels, options, hidden
    )


class SimSiam(ContrastiveLoss):
    """SimSiam, as a class."""
