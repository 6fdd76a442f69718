r"""Fitting the channels of a shortcut without weights."""

from __future__ import annotations

import torch
from torch import Tensor


def fit_channels(x: Tensor, out_channels: int) -> Tensor:
    r"""Repeat or average channels until there are ``out_channels``.

    With I input channels, ``q = O // I`` and ``m = O mod I``: q copies of x, then m
    averages. Channel j of the first m - 1 averages the ``I // m`` channels ``j, j + (m
    - 1), j + 2 (m - 1), ...``; the last averages all that are left.

    Args:
        x: ``(N, I, H, W)``.
        out_channels: O > 0.

    Returns:
        ``(N, O, H, W)``.

    References:
        Yin et al., BiDense, 2024, and its code (which fails where ``m = 1``; there the
        last average is that of all channels). https://arxiv.org/abs/2411.10346

    Examples:
        >>> x = torch.tensor([1.0, 2.0, 4.0, 8.0]).view(1, 4, 1, 1)
        >>> fit_channels(x, 8).flatten().tolist()
        [1.0, 2.0, 4.0, 8.0, 1.0, 2.0, 4.0, 8.0]
        >>> fit_channels(x, 2).flatten().tolist()  # of the first two, of the last two
        [1.5, 6.0]
    """
    channels = x.shape[1]
    repeats, merged = divmod(out_channels, channels)
    parts = [x] * repeats
    if merged:
        regular = channels // merged * (merged - 1)
        if regular:
            parts.append(x[:, :regular].unflatten(1, (-1, merged - 1)).mean(1))
        parts.append(x[:, regular:].mean(1, keepdim=True))
    return torch.cat(parts, 1) if len(parts) > 1 else parts[0]
