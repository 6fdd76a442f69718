"""Convolution of codes with power-of-two weights in 8-bit integers, on a CPU.

Where every weight of a filter is plus or minus the same power of two (IR-Net, BNN), all
sums of a float32 convolution of codes are exact, so that integers give the same bits
in a fraction of the time.
"""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

Pair = tuple[int, ...]


def power_of_two_magnitudes(weight: Tensor) -> Tensor | None:
    """The common magnitude of each filter ``(O,)``, None unless all are powers of two.

    Args:
        weight: ``(O, ...)`` on a CPU.

    Examples:
        >>> power_of_two_magnitudes(torch.tensor([[0.5, -0.5], [2.0, 2.0]])).tolist()
        [0.5, 2.0]
        >>> power_of_two_magnitudes(torch.tensor([[0.3, -0.3]]))
        >>> power_of_two_magnitudes(torch.tensor([[0.5, -1.0]]))
    """
    magnitude = weight.abs().flatten(1)
    first = magnitude[:, 0].clone()
    # The mantissa of a power of two is 1/2; of 0, infinity and NaN it is not.
    if not (torch.frexp(first).mantissa == 0.5).all():
        return None
    return first if (magnitude == first[:, None]).all() else None


def _integer_conv2d(
    steps: Tensor,
    low: int,
    weight: Tensor,
    magnitudes: Tensor,
    geometry: tuple[Pair, Pair, Pair],
) -> Tensor:
    stride, padding, dilation = map(list, geometry)
    signs = weight.sign().to(torch.int8)
    none = torch.zeros(len(signs), dtype=torch.int32)
    packed = torch.ops.onednn.qconv_prepack(
        signs, magnitudes, 1.0, -low, stride, padding, dilation, 1, list(steps.shape)
    )
    kernel, out = (packed, magnitudes, none, None), (1.0, 0, torch.float32)
    return torch.ops.onednn.qconv2d_pointwise(
        steps, 1.0, -low, *kernel, stride, padding, dilation, 1, *out, "none", [], ""
    )


@cache
def available() -> bool:
    """True if this torch has 8-bit convolutions, and they give the right numbers."""
    steps = torch.arange(50, dtype=torch.uint8).view(1, 2, 5, 5) % 2 * 2
    weight = torch.full((3, 2, 3, 3), 0.25)
    weight.flatten()[::4] *= -1
    geometry = ((2, 2), (1, 1), (1, 1))
    expected = F.conv2d(steps.float() - 1, weight, None, *geometry)
    try:
        found = _integer_conv2d(steps, -1, weight, weight.abs()[:, 0, 0, 0], geometry)
    except (AttributeError, RuntimeError, TypeError):
        return False
    return torch.equal(found, expected)


def integer_conv2d(
    steps: Tensor,
    low: int,
    weight: Tensor,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
) -> Tensor | None:
    """``conv2d(steps + low, weight)`` in float32, bit for bit, or None.

    Args:
        steps: ``(N, I, H, W)`` uint8 on a CPU, codes less their lower level.
        low: Lower level, from -255 to 0.
        weight: ``(O, I, kh, kw)`` float32.
        stride: In pixels.
        padding: In pixels, with true zeros.
        dilation: In pixels.

    Returns:
        ``(N, O, H', W')`` channels last, no gradient; None where weights are no powers
        of two, or this torch has no such convolution.

    Examples:
        >>> steps = torch.tensor([[[[2]], [[0]]]], dtype=torch.uint8)  # +1 and -1
        >>> weight = torch.tensor([[[[0.5]], [[-0.5]]]])
        >>> y = integer_conv2d(steps, -1, weight, (1, 1), (0, 0), (1, 1))
        >>> y is None or y.item() == 1
        True
    """
    if not available():
        return None
    magnitudes = power_of_two_magnitudes(weight)
    if magnitudes is None:
        return None
    geometry = (stride, padding, dilation)
    return _integer_conv2d(steps, low, weight, magnitudes, geometry)
