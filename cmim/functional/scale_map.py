r"""Scaling factors of a convolution's output, by its input or by the place."""

from __future__ import annotations

import torch
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
        >>> a = torch.tensor([[[[1.0, -3.0]], [[3.0, 5.0]]]])  # |a| means: 2, 4
        >>> box_mean_abs(a, (1, 2), (1, 1), (0, 1), (1, 1)).flatten().tolist()
        [1.0, 3.0, 2.0]
    """
    mean = activation.abs().mean(dim=1, keepdim=True)
    height, width = kernel_size
    box = mean.new_full((1, 1, height, width), 1 / (height * width))
    return F.conv2d(mean, box, None, stride, padding, dilation)


def linear_weights(size: int, grid: int, like: Tensor) -> Tensor:
    r"""Weights with which each of ``size`` pixels reads ``grid`` equally wide cells.

    .. math::
        m_{ij} = \max(0, 1 - |x_i - j|), \qquad
        x_i = \mathrm{clip}\left((i + \tfrac12) \tfrac{g}{s} - \tfrac12, 0, g - 1\right)

    The identity where the sizes are equal.

    Args:
        size: Pixels s.
        grid: Cells g.
        like: Gives dtype and device.

    Returns:
        ``(size, grid)``, rows sum to 1.

    Examples:
        >>> linear_weights(4, 2, torch.zeros(())).tolist()
        [[1.0, 0.0], [0.75, 0.25], [0.25, 0.75], [0.0, 1.0]]
    """
    # Half precision cannot count to the width of an image.
    dtype = torch.promote_types(like.dtype, torch.float32)
    pixels = torch.arange(size, dtype=dtype, device=like.device)
    cells = torch.arange(grid, dtype=dtype, device=like.device)
    places = ((pixels + 0.5) * (grid / size) - 0.5).clamp(0, grid - 1)
    return (1 - (places[:, None] - cells).abs()).clamp(min=0).to(like.dtype)


def resample_linear(cells: Tensor, size: tuple[int, int]) -> Tensor:
    r"""Interpolate a grid of values linearly to an image's size.

    The same as ``interpolate(mode='bilinear', align_corners=False)``, as two matrix
    products: their gradient has the same bits each time on a GPU, too.

    Args:
        cells: ``(C, g, g')``; a side of 1 stays 1, to be broadcast.
        size: (H, W) in pixels.

    Returns:
        ``(C, H or 1, W or 1)``.

    Examples:
        >>> resample_linear(torch.tensor([[[0.0, 4.0]]]), (3, 4)).tolist()
        [[[0.0, 1.0, 3.0, 4.0]]]
    """
    rows, columns = cells.shape[-2:]
    if rows > 1:
        cells = linear_weights(size[0], rows, cells) @ cells
    if columns > 1:
        cells = cells @ linear_weights(size[1], columns, cells).T
    return cells


def channel_gate(activation: Tensor, reduce: Tensor, expand: Tensor) -> Tensor:
    r"""Factor of each output channel, from the means of the real input's channels.

    .. math::
        G = \mathrm{sigmoid}(W_2 \max(0, W_1 z)), \quad
        z_c = \frac{1}{HW} \sum_{yx} a_{cyx}

    Args:
        activation: ``(N, I, H, W)``.
        reduce: :math:`W_1`, ``(R, I)``.
        expand: :math:`W_2`, ``(O, R)``.

    Returns:
        ``(N, O, 1, 1)``, between 0 and 1.

    References:
        Martinez et al., Training Binary Neural Networks with Real-to-Binary
        Convolutions, ICLR 2020. https://arxiv.org/abs/2003.11535

    Examples:
        >>> a = torch.tensor([[[[1.0, 3.0]], [[-5.0, -5.0]]]])  # z = (2, -5)
        >>> expand = torch.tensor([[0.0, 1.0], [-99.0, 0.0]])
        >>> gate = channel_gate(a, torch.eye(2), expand)
        >>> gate.shape, gate[0, 0].item(), round(gate[0, 1].item(), 6)
        (torch.Size([1, 2, 1, 1]), 0.5, 0.0)
    """
    hidden = F.relu(F.linear(activation.mean((2, 3)), reduce))
    return F.linear(hidden, expand).sigmoid()[:, :, None, None]
