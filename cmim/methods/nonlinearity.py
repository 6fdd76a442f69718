"""Non-linearities that methods share."""

from __future__ import annotations

from torch import Tensor, nn

from cmim.functional.hard_tanh import hard_tanh


class HardTanh(nn.Hardtanh):
    """``clamp(x, -1, 1)``: ``nn.Hardtanh`` that keeps its result instead of its input.

    Shape:
        ``(N, C, *)`` to the same shape.

    Examples:
        >>> import torch
        >>> HardTanh()(torch.tensor([-2.0, 0.5])).tolist()
        [-1.0, 0.5]
    """

    def __init__(self) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return hard_tanh(x)
