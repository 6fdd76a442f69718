r"""WCoRD: Wasserstein distances instead of divergences.

.. math::
    -\lambda_1 \Big( E_\text{joint}\, g - E_\text{marginals}\, g \Big)
    + \lambda_2 \langle \pi, C \rangle, \qquad
    C_{ij} = 1 - \langle z_{B,i}, z_{F,j} \rangle

The first, *global* term is the dual form of the Wasserstein distance between pairs that
belong together and pairs that do not: g is a 1-Lipschitz critic of pairs (two
layers under spectral normalization), trained by the same loss. As the
projections z lie on the unit sphere, it is at most 2: a dependence measure in the units
of z, not nats. The second, *local* term moves the binary projections of the batch
onto the partner's along Sinkhorn's plan (held constant in the gradient). It is least
for projections that collapse: the global term keeps them apart.

With labels, only pairs known to carry different labels count as not belonging
together, and samples of unknown label have no part in either term.

Not established: no published code was found, and of the paper only the abstract could
be read again, so nothing was compared with the authors' figures. Ours are: the weights
(1, 1) and the regularization and iterations of Sinkhorn; the form of the critic; the
cosine cost; equal weights of both expectations (with M negatives counted M times, as
remembered from the paper's Eq. for the global term, a constant added to g would change
the loss without bound). Left out: the paper's memory bank of negatives.

Checked: the plan against the best matching of a linear program: at epsilon 0.002 costs
differ by less than 0.3%; at 0.1, the default here, by 32 to 45% on random costs in
[0, 1]: the plan is then a soft matching.

References: Chen et al., Wasserstein Contrastive Representation Distillation, CVPR 2021.
https://arxiv.org/abs/2012.08674. Miyato et al., Spectral Normalization for Generative
Adversarial Networks, ICLR 2018. https://arxiv.org/abs/1802.05957
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from cmim.contrast.contrastive_loss import ContrastiveLoss
from cmim.contrast.gathering import (
    gather_ranks,
    gather_with_gradient,
    mean_over_ranks,
)
from cmim.contrast.layer_loss import LayerLoss, LossBuilder, Projection
from cmim.contrast.options import BatchLabels, ContrastOptions
from cmim.contrast.pairs import IGNORED, other_label
from cmim.functional.transport import critic_sums, pair_critic, sinkhorn_plan
from cmim.ranks import rank


class WassersteinLoss(LayerLoss):
    """WCoRD.

    Args:
        channels: Channels of the binary activation a_B.
        partner_channels: Channels of the partner a_F.
        options: Shared options; ``chunk`` bounds the pairs scored at once.
        global_weight: lambda_1 >= 0.
        local_weight: lambda_2 >= 0.
        hidden: Units of the critic's hidden layer.
        epsilon: Regularization of the plan, > 0; costs are in [0, 2].
        iterations: Of Sinkhorn, at least 1.

    Raises:
        ValueError: An option out of range.
    """

    used = frozenset(
        {
            "projection", "level", "pixels", "sampling", "gather", "stop_gradient",
            "chunk",
        }
    )  # fmt: skip

    def __init__(
        self,
        channels: int,
        partner_channels: int,
        options: ContrastOptions,
        global_weight: float = 1.0,
        local_weight: float = 1.0,
        hidden: int = 32,
        epsilon: float = 0.1,
        iterations: int = 20,
    ) -> None:
        super().__init__(channels, partner_channels, options)
        _check(global_weight, local_weight, hidden, epsilon, iterations)
        self.global_weight, self.local_weight = global_weight, local_weight
        self.epsilon, self.iterations = epsilon, iterations
        size = options.projection
        self.project_binary = Projection(channels, size)
        self.project_partner = Projection(partner_channels, size)
        if global_weight:
            self.inner = nn.Linear(2 * size, hidden)
            spectral_norm(self.inner)
            self.outer = nn.Linear(hidden, 1, bias=False)
            spectral_norm(self.outer)

    def compare(self, binary: Tensor, partner: Tensor, labels: BatchLabels) -> Tensor:
        positions, picked = self.draw(binary, labels)
        z_binary = self.project_binary.at(binary, positions)
        z_partner = self.project_partner.at(partner, positions)
        gather = self.options.gather
        everyone = gather_with_gradient(z_partner) if gather else z_partner
        theirs = picked
        if picked is not None and gather:
            theirs = gather_ranks(picked)
        loss = z_binary.sum() * 0
        if self.global_weight:
            dual = self._dual(z_binary, z_partner, everyone, picked, theirs)
            known = None if picked is None else (picked != IGNORED).to(dual.dtype)
            loss = loss - self.global_weight * mean_over_ranks(dual, known)
        if self.local_weight:
            ours = gather_with_gradient(z_binary) if gather else z_binary
            loss = loss + self.local_weight * self._primal(ours, everyone, theirs)
        return loss

    def _dual(
        self,
        z_binary: Tensor,
        z_partner: Tensor,
        everyone: Tensor,
        labels: Tensor | None,
        theirs: Tensor | None,
    ) -> Tensor:
        """Each anchor's score with its partner minus its mean score with others."""
        # Once a step: each look at a normalized weight moves its power iteration.
        weight, outer = self.inner.weight, self.outer.weight[0]
        left, right = weight.chunk(2, dim=1)
        critic = (outer, self.inner.bias)
        first, own = z_binary @ left.T, z_partner @ right.T
        start_at = rank() * len(z_binary) if self.options.gather else 0
        rows = torch.arange(len(z_binary), device=z_binary.device)[:, None] + start_at

        def allowed(start: int, stop: int) -> Tensor:
            others = rows != torch.arange(start, stop, device=rows.device)
            if labels is None or theirs is None:
                return others
            return others & other_label(labels, theirs[start:stop])

        total, count = critic_sums(
            first, everyone @ right.T, *critic, allowed, self.options.chunk
        )
        gap = pair_critic(first, own, *critic) - total / count.clamp(min=1)
        return gap * (count > 0)

    def _primal(self, ours: Tensor, theirs: Tensor, labels: Tensor | None) -> Tensor:
        """The transport cost of the joined batch."""
        known = None if labels is None else labels != IGNORED
        cost = 1 - ours @ theirs.T
        plan = sinkhorn_plan(cost, self.epsilon, self.iterations, known, known)
        return (plan * cost).sum()


def _check(
    global_weight: float,
    local_weight: float,
    hidden: int,
    epsilon: float,
    iterations: int,
) -> None:
    if not min(global_weight, local_weight) >= 0 or not global_weight + local_weight:
        raise ValueError(
            "global_weight and local_weight must not be negative, nor both 0, got "
            f"{global_weight} and {local_weight}"
        )
    if not epsilon > 0:
        raise ValueError(f"epsilon must be positive, got {epsilon}")
    if min(hidden, iterations) < 1:
        raise ValueError(
            f"hidden and iterations must be at least 1, got {hidden} and {iterations}"
        )


def LOSS(
    global_weight: float = 1.0,
    local_weight: float = 1.0,
    hidden: int = 32,
    epsilon: float = 0.1,
    iterations: int = 20,
) -> LossBuilder:
    return lambda channels, partner_channels, options: WassersteinLoss(
        channels, partner_channels, options, global_weight, local_weight, hidden,
        epsilon, iterations,
    )  # fmt: skip


class WCoRD(ContrastiveLoss):
    """WCoRD, as a class."""
