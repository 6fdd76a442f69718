"""Losses and feature maps that the tests of bounds share."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from cmim.contrast import ContrastOptions, get_loss, layer_loss
from cmim.contrast.pair_loss import PairLoss

N, C, PARTNER, H, W, P, D = 3, 4, 6, 5, 6, 5, 3
TEMPERATURE, SAMPLES, RATE, ALPHA = 0.5, 700.0, 0.2, 0.3

LOSSES: dict[str, str | dict] = {
    "donsker_varadhan": "donsker_varadhan",
    "info_nce": "info_nce",
    "interpolated": {"name": "interpolated", "alpha": ALPHA},
    "jensen_shannon": "jensen_shannon",
    "mine": {"name": "mine", "rate": RATE},
    "nce": {"name": "nce", "samples": SAMPLES, "normalise": False},
    "nwj": "nwj",
    "tuba": "tuba",
}


def make_loss(entry: str | dict, **options) -> PairLoss:
    """By its name in ``LOSSES``, or by an entry of its own."""
    torch.manual_seed(0)
    options = {
        "projection": D,
        "pixels": P,
        "temperature": TEMPERATURE,
        "chunk": 4,
        **options,
    }
    named = LOSSES[entry] if isinstance(entry, str) else entry
    loss = get_loss(named)(C, PARTNER, ContrastOptions(**options)).double()
    for bound in (loss.bound, loss.bound_reverse):
        if hasattr(bound, "log_baseline"):
            torch.nn.init.normal_(bound.log_baseline.weight)
    return loss


def make_inputs(seed: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    binary = torch.randn(N, C, H, W, generator=generator, dtype=torch.float64)
    partner = torch.randn(N, PARTNER, H, W, generator=generator, dtype=torch.float64)
    return torch.where(binary < 0, -1.0, 1.0).double(), partner


def make_labels(seed: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-1, 3, (N, H, W), generator=generator)


def fix_positions(monkeypatch: pytest.MonkeyPatch) -> Tensor:
    """Sampled places ``(N, P)``, the same for every draw."""
    generator = torch.Generator().manual_seed(3)
    places = torch.rand(N, H * W, generator=generator).topk(P).indices
    monkeypatch.setattr(layer_loss, "sample_positions", lambda *_: places)
    return places
