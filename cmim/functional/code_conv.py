r"""Convolution of two-level codes that keeps one bit a code for its backward pass."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from cmim.functional.bits import pack_bits, unpack_bits
from cmim.functional.integer_conv import integer_conv2d

# Of two, but torch's convolutions say so nowhere.
Pair = tuple[int, ...]
Geometry = tuple[Pair, Pair, Pair]


def _is_channels_last(x: Tensor) -> bool:
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


def _convolve(
    codes: Tensor,
    steps: Tensor,
    poison: Tensor,
    low: int,
    weight: Tensor,
    geometry: Geometry,
) -> Tensor:
    """``conv2d(codes, weight)``, in integers where that gives the same bits."""
    on_cpu = codes.device.type == "cpu" and codes.dtype == torch.float32
    # On a CPU no device waits for this test; a NaN has no integer.
    if on_cpu and codes.numel() and not poison.isnan().any():
        out = integer_conv2d(steps.view(torch.uint8), low, weight, *geometry)
        if out is not None:
            return out if _is_channels_last(codes) else out.contiguous()
    return F.conv2d(codes, weight, None, *geometry)


class _CodeConv(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx, codes: Tensor, weight: Tensor, levels: tuple[int, int], geometry: Geometry
    ) -> Tensor:
        ctx.levels, ctx.geometry = levels, geometry
        ctx.shape, ctx.channels_last = codes.shape, _is_channels_last(codes)
        # 0 or NaN per channel: a bit cannot be NaN, its weights' gradient shall be.
        # Summed in float32, as half precision could overflow.
        poison = codes.sum((0, 2, 3), dtype=torch.float32).mul_(0)
        steps = codes.to(torch.int8).sub_(levels[0])
        out = _convolve(codes, steps, poison, levels[0], weight, geometry)
        dense = steps.permute(0, 2, 3, 1) if ctx.channels_last else steps
        # In place: a comparison that makes a bool tensor is ten times slower on a CPU.
        bits = pack_bits(dense.contiguous().ne_(0))
        ctx.save_for_backward(bits, weight, poison)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        bits, weight, poison = ctx.saved_tensors
        low, high = ctx.levels
        flat = unpack_bits(bits, ctx.shape.numel()).mul_(high - low).add_(low)
        if ctx.channels_last:
            n, c, h, w = ctx.shape
            codes = flat.view(n, h, w, c).permute(0, 3, 1, 2)
        else:
            codes = flat.view(ctx.shape)
        wanted = (*ctx.needs_input_grad[:2], False)
        grad_codes, grad_weight, _ = torch.ops.aten.convolution_backward(
            grad,
            codes.to(weight.dtype),
            weight,
            None,
            *ctx.geometry,
            False,
            (0, 0),
            1,
            wanted,
        )
        if grad_weight is not None:
            grad_weight += poison.view(1, -1, 1, 1)
        return grad_codes, grad_weight, None, None


def code_conv2d(
    codes: Tensor,
    weight: Tensor,
    levels: tuple[int, int],
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
) -> Tensor:
    r"""``conv2d`` of an input that holds two integers, such as -1 and +1 or 0 and 1.

    Output and gradients are those of ``torch.nn.functional.conv2d``, also under
    autocast; there is no second derivative. For the backward pass one bit a code is
    kept. Other input gives a wrong gradient of the weights, but NaN gives NaN, for all
    weights of its input channel.

    Args:
        codes: ``(N, I, H, W)``, floating.
        weight: ``(O, I, kh, kw)``.
        levels: The lower and the higher integer, at most 127 apart.
        stride: In pixels.
        padding: In pixels, with true zeros.
        dilation: In pixels.

    Returns:
        ``(N, O, H', W')``.

    Examples:
        >>> weight = torch.full((1, 2, 1, 1), 0.5, requires_grad=True)
        >>> codes = torch.tensor([[[[1.0]], [[-1.0]]]])
        >>> y = code_conv2d(codes, weight, (-1, 1)); y.sum().backward()
        >>> y.item(), weight.grad.flatten().tolist()
        (0.0, [1.0, -1.0])
    """
    args = (levels, (stride, padding, dilation))
    kind = codes.device.type
    if not (torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)):
        return _CodeConv.apply(codes, weight, *args)
    if codes.dtype != torch.float64:
        dtype = torch.get_autocast_dtype(kind)
        codes, weight = codes.to(dtype), weight.to(dtype)
    # Autocast would cast once more inside, where no gradient follows.
    with torch.autocast(kind, enabled=False):
        return _CodeConv.apply(codes, weight, *args)
