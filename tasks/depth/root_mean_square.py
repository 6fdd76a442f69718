"""The root mean square error, of sums over any images."""

from __future__ import annotations

from torch import Tensor


def root_mean_square(sums: Tensor) -> Tensor:
    """RMSE of pooled sums.

    Args:
        sums: Number of pixels and sum of their squared errors, the first of
            ``tasks.depth.metrics.SUM_NAMES``.

    Shape:
        sums ``(*, 2)``; output ``(*)``, NaN without a pixel.

    Examples:
        >>> import torch
        >>> root_mean_square(torch.tensor([[16.0, 4.0], [0.0, 0.0]])).tolist()
        [0.5, nan]
    """
    pixels, squared = sums.double().unbind(-1)
    return (squared / pixels).sqrt()
