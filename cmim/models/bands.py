"""How many bands the pictures of a network have."""

from __future__ import annotations

from torch import nn


def input_bands(model: nn.Module) -> int:
    """Bands of the pictures that a task model reads: those of its first convolution.

    Args:
        model: A task model, or its backbone.

    Examples:
        >>> input_bands(nn.Sequential(nn.Conv2d(4, 8, 3), nn.Conv2d(8, 1, 1)))
        4
    """
    encoder = getattr(model, "backbone", model)
    first = next((m for m in encoder.modules() if isinstance(m, nn.Conv2d)), None)
    return 3 if first is None else first.in_channels
