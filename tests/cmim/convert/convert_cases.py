"""Small networks to convert, with every kind of layer that has a rule."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Small(nn.Module):
    """A stem, a residual block, and a classifier on a vector."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.norm = nn.BatchNorm2d(8)
        # As if it had been trained: its statistics are used when layers are placed.
        self.norm.num_batches_tracked.fill_(1)
        self.relu = nn.ReLU(inplace)
        self.conv = nn.Conv2d(8, 16, 3, 2, 1, bias=False)
        self.downsample = nn.Conv2d(8, 16, 1, 2)
        self.grouped = nn.Conv2d(16, 16, 3, 1, 1, groups=2)
        self.hidden = nn.Linear(16, 12)
        self.head = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.norm(self.stem(x)))
        x = self.conv(x) + self.downsample(x)
        x = self.grouped(x).mean((2, 3))
        return self.head(self.hidden(x).tanh())


class Chain(nn.Sequential):
    """Convolutions with ReLUs between them."""

    def __init__(self, count: int = 4, inplace: bool = False, width: int = 8) -> None:
        layers: list[nn.Module] = [nn.Conv2d(3, width, 3, 1, 1)]
        for _ in range(count - 1):
            layers += [nn.ReLU(inplace), nn.Conv2d(width, width, 3, 1, 1)]
        super().__init__(*layers)


def pictures(*shape: int, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator)


def outcome(rows) -> dict[str, str]:
    """What became of each layer, or why it stayed, by name."""
    return {row.name: row.became or row.why for row in rows}
