r"""Scaling factors of a convolution's output that depend on its input."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def box_mean_abs(
    activation: Tensor,
    kernel_size: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...] | str,
    dilation: tuple[int, ...],
) -> Tensor:
    r"""Mean of ``|a|`` over the channels and over the pixels under a kernel.

    .. math:: K = A * k, \quad A = \frac{1}{C} \sum_c |a_c|, \quad k_{ij} = \frac{1}{hw}

    Pixels of the padding count as zeros. NaN spreads over the kernel's footprint.

    Args:
        activation: ``(N, C, H, W)``.
        kernel_size: (h, w) in pixels.
        stride: In pixels.
        padding: In pixels, as of ``torch.nn.functional.conv2d``.
        dilation: In pixels.

    Returns:
        ``(N, 1, H', W')``; in bfloat16 under autocast.

    References:
        Rastegari et al., XNOR-Net, ECCV 2016. https://arxiv.org/abs/1603.05279

    Examples:
        >>> import torch
        >>> a = torch.tensor([[[[1.0, -3.0]], [[3.0, 5.0]]]])  # |a| means: 2, 4
        >>> box_mean_abs(a, (1, 2), (1, 1), (0, 1), (1, 1)).flatten().tolist()
        [1.0, 3.0, 2.0]
    """
    mean = activation.abs().mean(dim=1, keepdim=True)
    height, width = kernel_size
    box = mean.new_full((1, 1, height, width), 1 / (height * width))
    return F.conv2d(mean, box, None, stride, padding, dilation)
