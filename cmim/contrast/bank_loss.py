"""NCE against a memory of every training image: the core of NPID, CRD and others."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmim.contrast.bank import FeatureBank, draw_from_others
from cmim.contrast.bank_scores import OwnScores, Picked, SharedScores
from cmim.contrast.gathering import gather_ranks, mean_over_ranks
from cmim.contrast.layer_loss import LayerLoss, Projection
from cmim.contrast.options import BatchLabels, ContrastOptions
from cmim.contrast.pairs import IGNORED
from cmim.functional.bounds import nce_loss

PROJECTIONS = ("trained", "tied", "fixed")


class BankLoss(LayerLoss):
    r"""NCE of whole images with rows of a bank as positives and negatives.

    .. math::
        h(s) = \frac{e^s / Z}{e^s / Z + N/M}, \qquad
        L = -\log h(s^+) - N\,\mathrm{mean}_j \log(1 - h(s_j))

    The positive of an image is its own bank row: its partner as of an epoch ago. Z is M
    times the mean of :math:`e^s` at the first training step, and then a constant.
    Constants and banks are buffers, so a resumed run has the same loss.

    Args:
        channels: Channels of the binary activation a_B.
        partner_channels: Channels of the partner a_F.
        options: Shared options.
        rows: M, training images.
        negatives: N, negatives of each anchor.
        momentum: Share of the old row when one is updated, in [0, 1).
        other_class: Negatives are images of another class. Rows not met yet are noise
            whatever their class, and count as negatives.
        shared: One draw of N rows for all anchors of a step, so that one matrix product
            scores them; rows that are no negatives of an anchor are left out and the
            sum is scaled up to N. Otherwise N draws for each anchor.
        both_ways: Also anchors of the partner against a bank of binary projections, and
            the two losses added.
        projection: One of ``PROJECTIONS``: both trained, one for both, or both left as
            initialised.

    Raises:
        ValueError: An option out of range, or a level that is not ``'image'``. In a
            step: labels that are missing, or a place outside the bank (on a GPU it is
            looked for in the first step only, as that waits for the device).
    """

    # pixels and sampling say something of the pixel level only, here as in every loss.
    used = frozenset(ContrastOptions.__dataclass_fields__) - {"queue", "gather"}
    needs_indices = True
    row_classes: Tensor
    log_normalizer: Tensor

    def __init__(
        self,
        channels: int,
        partner_channels: int,
        options: ContrastOptions,
        name: str,
        rows: int,
        negatives: int,
        momentum: float,
        other_class: bool,
        shared: bool,
        both_ways: bool,
        projection: str = "trained",
    ) -> None:
        super().__init__(channels, partner_channels, options, name)
        if options.level != "image":
            raise ValueError(
                f"loss {name!r} keeps one row an image: its level is 'image' and not "
                f"{options.level!r} (model.level in a config); or choose a loss of "
                "pixels such as 'info_nce'"
            )
        if negatives < 1:
            raise ValueError(f"negatives must be at least 1, got {negatives}")
        if projection == "tied" and channels != partner_channels:
            raise ValueError(
                f"loss {name!r} projects both sides with one layer, and they have "
                f"{channels} and {partner_channels} channels: tap modules of one width"
            )
        self.needs_classes = other_class
        self.size, self.negatives, self.shared = rows, negatives, shared
        self.project_binary = Projection(channels, options.projection)
        if projection != "tied":
            self.project_partner = Projection(partner_channels, options.projection)
        if projection == "fixed":
            self.requires_grad_(False)
        self.partner_bank = FeatureBank(rows, options.projection, momentum)
        self.binary_bank = (
            FeatureBank(rows, options.projection, momentum) if both_ways else None
        )
        unknown = torch.full((rows,), IGNORED, dtype=torch.int32)
        self.register_buffer("row_classes", unknown)
        self.register_buffer("log_normalizer", torch.full((2,), math.nan))
        self._started = False

    def _load_from_state_dict(self, *args: Any) -> None:
        super()._load_from_state_dict(*args)
        self._started = False

    def compare(self, binary: Tensor, partner: Tensor, labels: BatchLabels) -> Tensor:
        indices, classes = self._places(labels), self._classes(labels)
        own_layer = getattr(self, "project_partner", self.project_binary)
        z_binary = _project(self.project_binary, binary)
        z_partner = _project(own_layer, partner)
        known = None if classes is None else classes != IGNORED
        row_classes = self._note_classes(indices, classes, known)
        picked = self._draw(indices, classes, row_classes)
        losses = self._nce(0, z_binary, self.partner_bank, indices, picked, known)
        if self.binary_bank is not None:
            bank = self.binary_bank
            losses = losses + self._nce(1, z_partner, bank, indices, picked, known)
        weights = None if known is None else known.to(losses.dtype)
        loss = mean_over_ranks(losses, weights)
        if self.training:
            self._remember(indices, z_binary, z_partner, known)
            if not self._started:
                self._started = bool(self.log_normalizer[: self._ways].isfinite().all())
        return loss

    @property
    def _ways(self) -> int:
        return 1 if self.binary_bank is None else 2

    def _places(self, labels: BatchLabels) -> Tensor:
        indices = labels.indices
        if indices is None:
            raise ValueError(
                f"loss {self.name!r} needs the place of each image in its data set: "
                "add sample_idx to the meta keys of what packs the training samples "
                "(PackImage packs it, PackSegInputs has meta_keys)"
            )
        if indices.device.type == "cpu" or not self._started:
            outside = indices[(indices < 0) | (indices >= self.size)]
            if len(outside):
                raise ValueError(
                    f"sample_idx {int(outside[0])} is outside the bank of loss "
                    f"{self.name!r}, which has rows 0 to {self.size - 1}: set "
                    "rows (model.loss.rows in a config) to the number of training "
                    "images"
                )
        return indices

    def _classes(self, labels: BatchLabels) -> Tensor | None:
        if not self.needs_classes:
            return None
        if labels.classes is None:
            raise ValueError(
                f"loss {self.name!r} draws negatives of other classes and needs one "
                "class an image (gt_label): train on labelled pictures (ImageFolder"
                "Dataset), or choose a loss without classes ('npid', or 'crd' with "
                "model.loss.other_class=False)"
            )
        return labels.classes.to(self.row_classes.dtype)

    def _note_classes(
        self, indices: Tensor, classes: Tensor | None, known: Tensor | None
    ) -> Tensor:
        """Classes of all rows, ``(M,)``, with those of the batch."""
        if classes is None or known is None:
            return self.row_classes
        kept = self.row_classes if self.training else self.row_classes.clone()
        indices, classes = gather_ranks(indices), gather_ranks(classes)
        old = kept.index_select(0, indices)
        return kept.index_copy_(
            0, indices, torch.where(classes != IGNORED, classes, old)
        )

    def _draw(
        self, indices: Tensor, classes: Tensor | None, row_classes: Tensor
    ) -> Picked:
        own = indices if classes is None else classes
        if self.shared:
            rows = torch.randint(self.size, (self.negatives,), device=indices.device)
            # All processes take the rows of the first, as one process would.
            rows = gather_ranks(rows)[: self.negatives]
            groups = rows if classes is None else row_classes[rows]
            return Picked.of(rows, groups[None, :] != own[:, None])
        if classes is None:
            row_groups = torch.arange(self.size, device=indices.device)
        else:
            row_groups = row_classes
        rows = draw_from_others(row_groups, own, self.negatives)
        return Picked.of(rows, row_groups[rows] != own[:, None])

    def _nce(
        self,
        way: int,
        anchors: Tensor,
        bank: FeatureBank,
        indices: Tensor,
        picked: Picked,
        known: Tensor | None,
    ) -> Tensor:
        """Losses of the anchors, ``(A,)``; 0 without negatives."""
        rows, allowed, counts = picked
        scaled = anchors / self.options.temperature
        positive = (scaled * bank.at(indices)).sum(dim=1)
        negatives = (
            SharedScores(scaled, bank.at(rows), allowed, self.options.chunk)
            if self.shared
            else OwnScores(scaled, bank.at(rows), allowed)
        )
        scale = self.negatives / counts.clamp(min=1).to(anchors.dtype)
        log_normalizer = self.log_normalizer[way]
        if not self._started:
            log_sum = negatives.log_sum() + scale.log()
            total = torch.logaddexp(positive, log_sum).detach()
            log_means = total - math.log(self.negatives + 1)
            log_normalizer = self._normalize(way, log_means, known)
        shift = log_normalizer + math.log(self.negatives / self.size)
        losses = nce_loss(positive, negatives.softplus_sum(-shift) * scale, shift)
        return losses * (counts > 0)

    @torch.no_grad()
    def _normalize(self, way: int, log_means: Tensor, known: Tensor | None) -> Tensor:
        """Log Z, from the log-mean-exp score of each anchor if it is not set.

        1 where no anchor of any process counts; then it is set in a later step.
        """
        if known is not None:
            log_means = log_means.masked_fill(~known, -math.inf)
        log_means = gather_ranks(log_means)
        count = (log_means > -math.inf).sum()
        estimate = log_means.logsumexp(0) - count.log() + math.log(self.size)
        old = self.log_normalizer[way]
        estimate = torch.where(count > 0, estimate.to(old.dtype), old)
        chosen = torch.where(old.isnan(), estimate, old)
        if self.training:
            self.log_normalizer[way] = chosen
        return chosen.nan_to_num()

    def _remember(
        self,
        indices: Tensor,
        z_binary: Tensor,
        z_partner: Tensor,
        known: Tensor | None,
    ) -> None:
        indices = gather_ranks(indices)
        known = None if known is None else gather_ranks(known)
        self.partner_bank.blend(indices, gather_ranks(z_partner.detach()), known)
        if self.binary_bank is not None:
            self.binary_bank.blend(indices, gather_ranks(z_binary.detach()), known)


def _project(layer: nn.Linear, features: Tensor) -> Tensor:
    """Unit vectors ``(N, D)`` of maps of one pixel."""
    return F.normalize(layer(features.flatten(1).to(layer.weight.dtype)), dim=1)
