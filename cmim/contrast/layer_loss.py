"""What the contrastive loss of one tapped layer promises, and its projections."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmim.contrast.options import BatchLabels, ContrastOptions
from cmim.contrast.pairs import gather_pixels, pick_labels, sample_positions
from cmim.contrast.sampling import sampling_weights
from cmim.functional.layout import as_maps
from cmim.functional.nearest import resize_nearest


class LayerLoss(nn.Module):
    """A loss between the binary and the full-precision activations of one layer.

    Subclasses say in ``used`` which shared options they use, and implement
    :meth:`compare`. ``compare`` runs in full precision under autocast too, as 1/tau
    magnifies rounding.

    Args:
        channels: Channels of the binary activation a_B.
        partner_channels: Channels of the partner a_F.
        options: Shared options.
        name: Name of the loss in configs; that of its module when None.

    Attributes:
        used: Names of the shared options that the loss uses.
        needs_classes: Whether it needs ``BatchLabels.classes``.
        needs_indices: Whether it needs ``BatchLabels.indices``.
        needs_labels: Whether it needs ``BatchLabels.exclude``, or at image level
            ``classes`` instead.

    Shape:
        ``binary`` ``(N, C, H, W)``, ``partner`` ``(N, C', H', W')`` with the same
        aspect; or both tokens ``(N, L, C)`` or vectors ``(N, C)``. Returns a scalar in
        nats.
    """

    used: frozenset[str] = frozenset()
    needs_classes = False
    needs_indices = False
    needs_labels = False

    def __init__(
        self,
        channels: int,
        partner_channels: int,
        options: ContrastOptions,
        name: str | None = None,
    ) -> None:
        super().__init__()
        self.name = name or type(self).__module__.rsplit(".", 1)[-1]
        options.refuse_unused(self.name, set(self.used))
        self.options = options

    def forward(
        self, binary: Tensor, partner: Tensor, labels: BatchLabels | None = None
    ) -> Tensor:
        if self.options.stop_gradient:
            partner = partner.detach()
        labels = labels or BatchLabels()
        binary, partner = as_maps(binary), as_maps(partner)
        if self.options.level == "image":
            binary = binary.mean(dim=(2, 3), keepdim=True)
            partner = partner.mean(dim=(2, 3), keepdim=True)
        elif partner.shape[2:] != binary.shape[2:]:
            partner = resize_nearest(partner, (binary.shape[2], binary.shape[3]))
        with torch.autocast(binary.device.type, enabled=False):
            return self.compare(binary, partner, labels)

    def compare(self, binary: Tensor, partner: Tensor, labels: BatchLabels) -> Tensor:
        """The loss; at image level the maps have one pixel.

        Args:
            binary: ``(N, C, H, W)``.
            partner: ``(N, C', H, W)``, detached if the options say so.
            labels: What is known of the images.
        """
        raise NotImplementedError

    def draw(self, binary: Tensor, labels: BatchLabels) -> tuple[Tensor, Tensor | None]:
        """Anchors of each image, ``(N, P)`` flat indices; their labels ``(N * P,)``.

        Labels are None where ``labels.exclude`` is.
        """
        size = (binary.shape[2], binary.shape[3])
        weights = sampling_weights(self.options.sampling, labels.regions, *size)
        positions = sample_positions(
            len(binary), *size, self.options.pixels, binary.device, weights
        )
        if labels.exclude is None:
            return positions, None
        return positions, pick_labels(labels.exclude, positions, *size)


class Projection(nn.Linear):
    r"""A linear layer to the unit sphere: :math:`W a / \|W a\|_2` at sampled places."""

    def at(self, features: Tensor, positions: Tensor) -> Tensor:
        """Project pixels.

        Args:
            features: ``(N, C, H, W)``.
            positions: ``(N, P)`` flat indices.

        Returns:
            ``(N * P, D)`` unit vectors, image after image.
        """
        pixels = gather_pixels(features, positions)
        return F.normalize(self(pixels.to(self.weight.dtype)), dim=1)


# (channels, partner channels, shared options) -> the loss of one layer.
LossBuilder = Callable[[int, int, ContrastOptions], LayerLoss]
