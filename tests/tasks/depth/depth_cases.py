"""Depth and predictions that the tests of the losses share."""

from __future__ import annotations

import math

import torch

INVALID = [0.0, -1.0, math.nan, math.inf, -math.inf]


def depth_pair(seed: int = 0, dtype: torch.dtype = torch.float64) -> tuple:
    """Three images: mixed validity, all valid, and no valid pixel at all."""
    generator = torch.Generator().manual_seed(seed)
    pred = 0.5 + 9 * torch.rand(3, 4, 5, generator=generator, dtype=torch.float64)
    target = 0.5 + 9 * torch.rand(3, 4, 5, generator=generator, dtype=torch.float64)
    target[0, 0] = torch.tensor(INVALID)
    target[2] = 0.0
    return pred.to(dtype), target.to(dtype)
