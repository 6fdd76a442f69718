"""Fixtures of the tests of contrastive losses."""

import pytest
import torch
from bound_cases import H, N, P, W

from cmim.contrast import layer_loss


@pytest.fixture
def positions(monkeypatch) -> torch.Tensor:
    """Sampled places ``(N, P)``, the same for every draw."""
    generator = torch.Generator().manual_seed(3)
    places = torch.rand(N, H * W, generator=generator).topk(P).indices
    monkeypatch.setattr(layer_loss, "sample_positions", lambda *_: places)
    return places
