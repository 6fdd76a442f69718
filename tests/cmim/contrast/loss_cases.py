"""Builds every loss by its name, and the features that their tests share."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import Tensor

from cmim.contrast import (
    BatchLabels,
    ContrastOptions,
    available_losses,
    get_loss,
    loss_defaults,
)
from cmim.contrast.layer_loss import LayerLoss
from cmim.contrast.pairs import IGNORED

N, C, H, W = 4, 6, 8, 8
every_loss = pytest.mark.parametrize("name", available_losses())
# A value of each shared option other than its default, to see whether it is refused.
OTHER: dict = dict(
    projection=16, level="image", pixels=9, sampling="edges", temperature=0.7, queue=6,
    gather=False, stop_gradient=False, chunk=7,
)  # fmt: skip


def build(name: str, seed: int = 0, **options) -> LayerLoss:
    shared = {"projection": 8, "pixels": 5, **shared_defaults(name), **options}
    used = used_by(name)
    kept = {k: v for k, v in shared.items() if k in used}
    # The last thing before the weights are drawn: nothing above may move the seed.
    torch.manual_seed(seed)
    return get_loss(name)(C, C, ContrastOptions(**kept))


@cache
def used_by(name: str) -> frozenset[str]:
    """Shared options that the loss uses; leaves the random state as it was."""
    with torch.random.fork_rng(devices=[]):
        return _used_by(name)


def _used_by(name: str) -> frozenset[str]:
    return type(get_loss(name)(C, C, ContrastOptions(**shared_defaults(name)))).used


def shared_defaults(name: str) -> dict:
    """What the loss brings along, without ``negatives``, which is no shared option."""
    return {k: v for k, v in loss_defaults(name).items() if k != "negatives"}


@cache
def takes_labels(name: str) -> bool:
    """Whether label maps are accepted; a loss that refuses them says what to set."""
    with torch.random.fork_rng(devices=[]):
        try:
            build(name)(*make_inputs(), make_labels(exclude=True))
        except ValueError as error:
            if "negatives='all'" not in str(error):
                raise
            return False
    return True


@cache
def labels_matter(name: str) -> bool:
    """Whether label maps change the value."""
    if not takes_labels(name):
        return False
    with torch.random.fork_rng(devices=[]):
        return _values_differ(name)


def _values_differ(name: str) -> bool:
    labelled = value_of(build(name), make_inputs(), make_labels(exclude=True))
    try:
        plain = value_of(build(name), make_inputs(), make_labels(exclude=False))
    except ValueError:
        return True
    return plain.item() != labelled.item()


def make_inputs(
    seed: int = 1, dtype: torch.dtype = torch.float32, images: int = N, size: int = H
) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    partner = torch.randn(images, C, size, size, generator=generator)
    noise = torch.randn(partner.shape, generator=generator)
    binary = torch.where(partner + noise < 0, -1.0, 1.0)
    return binary.to(dtype), partner.to(dtype)


def make_labels(exclude: bool, images: int = N, unknown: bool = False) -> BatchLabels:
    maps = torch.arange(images * H * W).view(images, H, W) // 3 % 4 - 1
    maps = torch.full_like(maps, IGNORED) if unknown else maps
    classes = torch.arange(images) % 2
    classes = torch.full_like(classes, IGNORED) if unknown else classes
    return BatchLabels(
        exclude=maps if exclude else None,
        regions=maps,
        classes=classes,
        indices=torch.arange(images) + 3,
    )


def labels_for(name: str, **options) -> BatchLabels:
    return make_labels(exclude=takes_labels(name), **options)


def value_of(loss: LayerLoss, inputs, labels: BatchLabels, seed: int = 5) -> Tensor:
    torch.manual_seed(seed)
    return loss(*inputs, labels)
