"""Losses with banks and batches that their tests share."""

from __future__ import annotations

import torch

from cmim.contrast import BatchLabels, ContrastOptions, get_loss
from cmim.contrast.bank_loss import BankLoss

NAMES = ("cmim_released", "crd", "npid")
ROWS, N, A, C, D, TAU = 30, 12, 6, 5, 4, 0.5
CLASSES = torch.arange(ROWS) % 3


def make_loss(name: str, shared: bool = True, **options) -> BankLoss:
    torch.manual_seed(0)
    entry = dict(name=name, rows=ROWS, negatives=N, shared=shared, **options)
    shared_options = ContrastOptions(level="image", projection=D, temperature=TAU)
    return get_loss(entry)(C, C, shared_options).double()


def make_batch(step: int = 0, size: tuple[int, int] = (2, 3)):
    generator = torch.Generator().manual_seed(step)
    partner = torch.randn(A, C, *size, generator=generator, dtype=torch.float64)
    binary = torch.where(partner < 0, -1.0, 1.0).double().requires_grad_()
    indices = torch.randperm(ROWS, generator=generator)[:A]
    labels = BatchLabels(indices=indices, classes=CLASSES[indices].clone())
    return binary, partner, labels
