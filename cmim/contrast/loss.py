"""The pixel-level contrastive loss of one tapped layer."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmim.contrast.memory import ProjectionQueue
from cmim.contrast.pairs import (
    IGNORED,
    gather_pixels,
    other_label,
    pick_labels,
    sample_positions,
)
from cmim.functional.contrastive import info_nce


class PixelContrastLoss(nn.Module):
    r"""Symmetric InfoNCE between binary and full-precision pixels of one layer.

    .. math::
        L = \tfrac12 \big(\mathrm{NCE}(z_B z_F^T / \tau)
                        + \mathrm{NCE}(z_F z_B^T / \tau)\big), \qquad
        z = \frac{W a}{\|W a\|_2}

    The anchor is the binary activation at a sampled place, its positive the partner's
    activation at the same place of the same image, its negatives other places and
    other images of the batch, and of past batches if there is a queue. With labels,
    only pixels known to carry another label are negatives, and pixels of unknown
    label take no part. Minimising L maximises a lower bound on the mutual information
    of binary and full-precision activations.

    Scores are computed in float32 under autocast too: 1/tau magnifies rounding.

    Args:
        channels: Channels of the binary activation a_B.
        partner_channels: Channels of the partner a_F.
        projection: Length of the projections.
        pixels: Anchors an image; the cost does not depend on the image size.
        temperature: tau > 0.
        queue: Rows of past partner projections kept as further negatives.
        stop_gradient: Detach the full-precision side (its projection still learns).

    Shape:
        ``binary`` ``(N, C, H, W)``, ``partner`` ``(N, C', H', W')`` with the same
        aspect; ``labels`` ``(N, H_img, W_img)`` int64 with -1 for unknown, or None.
        Returns a scalar in nats.

    Raises:
        ValueError: A size that is not positive.

    References:
        Shang et al., Network Binarization via Contrastive Learning, ECCV 2022,
        Eq. 5-9. https://arxiv.org/abs/2207.02970

    Examples:
        >>> _ = torch.manual_seed(0)
        >>> loss = PixelContrastLoss(8, 8, projection=4, pixels=2)
        >>> x = torch.randn(2, 8, 4, 4)
        >>> loss(x.sign(), x).shape
        torch.Size([])
    """

    def __init__(
        self,
        channels: int,
        partner_channels: int,
        projection: int = 64,
        pixels: int = 32,
        temperature: float = 0.1,
        queue: int = 0,
        stop_gradient: bool = True,
    ) -> None:
        super().__init__()
        for name, value in (
            ("projection", projection),
            ("pixels", pixels),
            ("temperature", temperature),
        ):
            if value <= 0:
                raise ValueError(f"{name} must be positive, got {value}")
        if queue < 0:
            raise ValueError(f"queue must not be negative, got {queue}")
        self.project_binary = nn.Linear(channels, projection)
        self.project_partner = nn.Linear(partner_channels, projection)
        self.pixels = pixels
        self.temperature = temperature
        self.stop_gradient = stop_gradient
        self.queue = ProjectionQueue(queue, projection) if queue else None

    def forward(
        self, binary: Tensor, partner: Tensor, labels: Tensor | None = None
    ) -> Tensor:
        if self.stop_gradient:
            partner = partner.detach()
        if partner.shape[2:] != binary.shape[2:]:
            partner = F.interpolate(partner, binary.shape[2:], mode="nearest")
        batch, _, height, width = binary.shape
        positions = sample_positions(batch, height, width, self.pixels, binary.device)
        picked = None
        if labels is not None:
            picked = pick_labels(labels, positions, height, width)
        with torch.autocast(binary.device.type, enabled=False):
            z_binary = self._project(self.project_binary, binary, positions)
            z_partner = self._project(self.project_partner, partner, positions)
            loss = self._symmetric(z_binary, z_partner, picked)
        if self.queue is not None and self.training:
            unknown = positions.new_full((len(z_partner),), IGNORED)
            self.queue.push(z_partner, unknown if picked is None else picked)
        return loss

    def _project(self, layer: nn.Linear, features: Tensor, positions: Tensor) -> Tensor:
        pixels = gather_pixels(features, positions)
        return F.normalize(layer(pixels.to(layer.weight.dtype)), dim=1)

    def _symmetric(
        self, z_binary: Tensor, z_partner: Tensor, labels: Tensor | None
    ) -> Tensor:
        scores = z_binary @ z_partner.T / self.temperature
        allowed = None if labels is None else other_label(labels, labels)
        backward = info_nce(scores.T, allowed)
        if self.queue is not None:
            # clone: the queue is overwritten in place before the backward pass.
            past = self.queue.rows.clone()
            scores = torch.cat([scores, z_binary @ past.T / self.temperature], dim=1)
            allowed = self._with_queue(labels, len(z_binary), allowed)
        forward = info_nce(scores, allowed)
        both = (forward + backward) / 2
        if labels is None:
            return both.mean()
        # Pixels of unknown label take no part, in the mean neither.
        known = (labels != IGNORED).to(both.dtype)
        return (both * known).sum() / known.sum().clamp(min=1)

    def _with_queue(
        self, labels: Tensor | None, anchors: int, allowed: Tensor | None
    ) -> Tensor:
        assert self.queue is not None
        filled = self.queue.filled[None, :]
        if labels is None or allowed is None:
            everyone = filled.new_ones(anchors, anchors)
            return torch.cat([everyone, filled.expand(anchors, -1)], dim=1)
        past = other_label(labels, self.queue.labels) & filled
        return torch.cat([allowed, past], dim=1)
