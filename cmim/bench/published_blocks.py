"""Bi-Real Net's and IR-Net's blocks the way their PyTorch code writes them.

Own re-statements for the benchmark: the operations, temporaries and tensors kept for
the backward pass of the released code, in the topology and with the parameter names of
:class:`cmim.layers.BasicBlock`, so that one state dict serves both. ``sign(0)`` is 0
here, as there.

Sources: ``pytorch_implementation/BiReal18_34/birealnet.py`` of
github.com/liuzechun/Bi-Real-net at f58aa4d (``BinaryActivation``, ``HardBinaryConv``,
``BasicBlock``); ``ImageNet/ResNet18/1w1a/models`` of github.com/htqin/IR-Net at f63a590
(``IRConv2d``, ``BinaryQuantize``, ``BasicBlock`` with hard tanh in place).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cmim.layers.block import Downsample


class BiRealConv(nn.Conv2d):
    """Sign by masks and polynomials, weights by a difference of detached copies."""

    def activation(self, x: Tensor) -> Tensor:
        below, negative, inside = x < -1, x < 0, x < 1
        left = (-1) * below.type(x.dtype) + (x * x + 2 * x) * (1 - below.type(x.dtype))
        right = -x * x + 2 * x
        middle = left * negative.type(x.dtype) + right * (1 - negative.type(x.dtype))
        soft = middle * inside.type(x.dtype) + 1 * (1 - inside.type(x.dtype))
        return torch.sign(x).detach() - soft.detach() + soft

    def forward(self, x: Tensor) -> Tensor:
        x = self.activation(x)
        scale = self.weight.abs()
        for dim in (3, 2, 1):
            scale = torch.mean(scale, dim=dim, keepdim=True)
        hard = scale.detach() * torch.sign(self.weight)
        clipped = torch.clamp(self.weight, -1.0, 1.0)
        weight = hard.detach() - clipped.detach() + clipped
        return F.conv2d(x, weight, stride=self.stride, padding=self.padding)


class _Quantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, k: Tensor, t: Tensor) -> Tensor:
        ctx.save_for_backward(x, k, t)
        return torch.sign(x)

    @staticmethod
    def backward(ctx, grad: Tensor):
        x, k, t = ctx.saved_tensors
        return k * t * (1 - torch.pow(torch.tanh(x * t), 2)) * grad, None, None


class IrConv(nn.Conv2d):
    """Weights balanced and standardised, both signs by one function."""

    k: Tensor
    t: Tensor

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.register_buffer("k", torch.tensor([10.0]), persistent=False)
        self.register_buffer("t", torch.tensor([0.1]), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        shape = (self.weight.size(0), 1, 1, 1)
        weight = self.weight - self.weight.view(shape[0], -1).mean(-1).view(shape)
        weight = weight / weight.view(shape[0], -1).std(-1).view(shape)
        magnitude = weight.abs().view(shape[0], -1).mean(-1)
        exponent = (torch.log(magnitude) / math.log(2)).round()
        scale = torch.pow(torch.full_like(exponent, 2), exponent).view(shape).detach()
        weight = _Quantize.apply(weight, self.k, self.t)
        x = _Quantize.apply(x, self.k, self.t)
        return F.conv2d(x, weight * scale, None, self.stride, self.padding)


METHODS = {"bireal": BiRealConv, "irnet": IrConv}


class PublishedBlock(nn.Module):
    """Two convolutions with one shortcut each, additions in place.

    Args:
        method: ``'bireal'`` or ``'irnet'``.
        in_channels: Input channels.
        out_channels: Output channels.
        stride: Stride of the first convolution in pixels.

    Shape:
        ``(N, I, H, W)`` to ``(N, O, ceil(H / stride), ceil(W / stride))``.
    """

    def __init__(
        self, method: str, in_channels: int, out_channels: int, stride: int = 1
    ) -> None:
        super().__init__()
        conv = METHODS[method]
        options = dict(kernel_size=3, padding=1, bias=False)
        self.conv1 = conv(in_channels, out_channels, stride=stride, **options)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = conv(out_channels, out_channels, **options)
        self.bn2 = nn.BatchNorm2d(out_channels)
        hard = method == "irnet"
        self.nonlinearity = nn.Hardtanh(inplace=True) if hard else None
        self.downsample: nn.Module | None = None
        if stride != 1 or in_channels != out_channels:
            self.downsample = Downsample(in_channels, out_channels, stride, True)

    def add(self, out: Tensor, residual: Tensor) -> Tensor:
        out += residual
        return out if self.nonlinearity is None else self.nonlinearity(out)

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn1(self.conv1(x))
        out = self.add(out, x if self.downsample is None else self.downsample(x))
        return self.add(self.bn2(self.conv2(out)), out)
