"""The same few pixels of every image, read in every layer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from cmim.functional.nearest import resize_nearest


def sampled_places(
    images: Sequence[int], height: int, width: int, count: int, seed: int = 0
) -> Tensor:
    """Distinct places of a feature map, a function of (seed, image, size) alone.

    So layers of one resolution, checkpoints and the twin are read at the same places,
    whatever the batch size.

    Args:
        images: Numbers of the images.
        height: Rows of the feature map.
        width: Columns of the feature map.
        count: Places wanted an image; all of them if the map has fewer.
        seed: Seed of the draw.

    Returns:
        ``(N, min(count, height * width))`` int64 flat indices on the CPU.

    Examples:
        >>> sampled_places([0, 7], 1, 2, 5).sort(dim=1).values.tolist()
        [[0, 1], [0, 1]]
    """
    rows = []
    for image in images:
        generator = torch.Generator().manual_seed(seed * 1_000_003 + image)
        keys = torch.rand(height * width, generator=generator)
        rows.append(keys.topk(min(count, height * width)).indices)
    return torch.stack(rows)


def resize_labels(labels: Tensor, height: int, width: int) -> Tensor:
    """Label or depth maps at the centres of feature pixels.

    Args:
        labels: ``(N, H, W)`` integers or metres; ``(N, 1, 1)`` for one label an image.
        height: Rows of the feature map.
        width: Columns of the feature map.

    Returns:
        ``(N, 1, height, width)``, float64 so that class numbers stay exact.

    Examples:
        >>> resize_labels(torch.tensor([[[1, 1, 2, 2], [1, 1, 2, 2]]]), 1, 2).tolist()
        [[[[1.0, 2.0]]]]
    """
    return resize_nearest(labels[:, None].double(), (height, width))


class PixelSample:
    """Collects sampled pixels batch by batch; memory does not grow with the maps.

    Args:
        pixels: Pixels an image.
        seed: Seed of the places.

    Examples:
        >>> sample = PixelSample(pixels=1)
        >>> sample.add("layer", torch.ones(2, 3, 4, 4), images=[0, 1])
        >>> sample.rows("layer").shape, sample.images("layer").tolist()
        (torch.Size([2, 3]), [0, 1])
    """

    def __init__(self, pixels: int, seed: int = 0) -> None:
        if pixels < 1:
            raise ValueError(f"pixels must be at least 1 an image, got {pixels}")
        self.pixels = pixels
        self.seed = seed
        self._rows: dict[str, list[Tensor]] = {}
        self._images: dict[str, list[Tensor]] = {}

    def add(self, name: str, features: Tensor, images: Sequence[int]) -> None:
        """Keep the sampled pixels of one batch.

        Args:
            name: What the features are.
            features: ``(N, C, H, W)``, any device.
            images: Number of each image.
        """
        height, width = features.shape[2:]
        places = sampled_places(images, height, width, self.pixels, self.seed)
        flat = features.detach().flatten(2).transpose(1, 2)
        picked = flat[torch.arange(len(flat))[:, None], places.to(flat.device)]
        self._rows.setdefault(name, []).append(picked.flatten(0, 1).cpu())
        numbers = torch.tensor(list(images)).repeat_interleave(places.shape[1])
        self._images.setdefault(name, []).append(numbers)

    def rows(self, name: str) -> Tensor:
        """``(M, C)``: the sampled pixels, image after image."""
        return torch.cat(self._rows[name])

    def images(self, name: str) -> Tensor:
        """``(M,)`` int64: the image that each row comes from."""
        return torch.cat(self._images[name])
