"""Depth as labels: bins against a loop over their edges."""

from __future__ import annotations

import math

import pytest
import torch

from cmim.contrast.pairs import IGNORED
from tasks.depth.task import depth_bins


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def naive_bin(depth: float, bins: int, nearest: float, farthest: float) -> int:
    if not math.isfinite(depth) or depth <= 0:
        return IGNORED
    inner = [nearest * (farthest / nearest) ** (k / bins) for k in range(1, bins)]
    return sum(depth >= edge for edge in inner)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("options", [(16, 0.5, 10.0), (5, 1.0, 3.0), (1, 0.5, 10.0)])
def test_depth_bins_equal_a_loop_over_edges(options, dtype):
    depth = (torch.rand(2, 1, 9, 9, dtype=dtype) * 14) - 1
    depth[0, 0, 0] = torch.tensor(
        [0, -1, math.nan, math.inf, -math.inf, 1e-6, 1e6, 0.3, 12], dtype=dtype
    )
    bins = depth_bins(depth, *options)
    assert bins.dtype == torch.int64
    assert bins.shape == depth.shape
    assert bins.flatten().tolist() == [
        naive_bin(d, *options) for d in depth.flatten().tolist()
    ]


def test_depth_bins_by_hand():
    # Four bins from 1 to 16 metres: edges 1, 2, 4, 8, 16.
    depth = torch.tensor([0.1, 1.0, 1.9, 2.1, 3.9, 4.1, 7.9, 8.1, 16.0, 99.0])
    bins = depth_bins(depth, bins=4, nearest=1.0, farthest=16.0)
    assert bins.tolist() == [0, 0, 0, 1, 1, 2, 2, 3, 3, 3]
    assert depth_bins(torch.tensor([0.4, 0.51, 9.9])).tolist() == [0, 0, 15]
