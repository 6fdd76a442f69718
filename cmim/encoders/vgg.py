"""VGG-small with binarized convolutions."""

from __future__ import annotations

from collections.abc import Sequence

from mmseg.registry import MODELS
from torch import Tensor, nn

from cmim.encoders.encoder import (
    BinaryEncoder,
    limit_strides,
    require_bands,
    require_channels,
)
from cmim.layers.unit import ConvUnit
from cmim.methods import get_method


@MODELS.register_module()
class BinaryVGGSmall(BinaryEncoder):
    """Six 3x3 convolutions without shortcuts; the first stays full precision.

    128-128-256-256-512-512 channels with a max-pooling after each second convolution,
    in front of its batch-norm: the network that binarization papers report on CIFAR,
    in the form with one linear layer as the classifier. There it reads all 512 x 4 x 4
    values (``LinearHead(pool=False)``); behind a head that pools first the network has
    77,000 weights less, and other figures.

    Args:
        method: Name of a binarization method, or ``dict(name=..., **options)``.
        output_stride: Input pixels per feature pixel of the last stage: 1, 2, 4 or 8.
        dilated: Replace each removed pooling by a dilation.
        base_channels: Channels of the first stage; stages have 1, 2, 4 times that.
        out_indices: Which stages are returned, 0 to 2; all when None.
        init_from: Path of a checkpoint of this project for the latent weights.
        init_cfg: mmengine initialisation; Kaiming normal when None.
        in_channels: Bands of the pictures, 3 for RGB.
        frozen_stages: See :meth:`BinaryEncoder.train_part`, likewise the next two.
        norm_eval: Keep batch-norm statistics as they are.
        recompute_stages: Less memory, more time.

    Shape:
        ``(N, in_channels, H, W)`` to a tuple of
        ``(N, C_i, ceil(H / s_i), ceil(W / s_i))``.

    Raises:
        ValueError: Unknown method, output stride or stage; no channels.

    References:
        Courbariaux et al., BinaryConnect, NeurIPS 2015,
        https://arxiv.org/abs/1511.00363; with one linear layer: Zhang et al., LQ-Nets,
        ECCV 2018, https://arxiv.org/abs/1807.10029

    Examples:
        >>> import torch
        >>> net = BinaryVGGSmall(base_channels=8)
        >>> [tuple(f.shape) for f in net(torch.zeros(1, 3, 32, 32))]
        [(1, 8, 16, 16), (1, 16, 8, 8), (1, 32, 4, 4)]
    """

    def __init__(
        self,
        method: str | dict = "bireal",
        output_stride: int | None = None,
        dilated: bool = True,
        base_channels: int = 128,
        out_indices: Sequence[int] | None = None,
        init_from: str | None = None,
        init_cfg: dict | None = None,
        in_channels: int = 3,
        frozen_stages: int = -1,
        norm_eval: bool = False,
        recompute_stages: bool = False,
    ) -> None:
        super().__init__(3, out_indices, init_from, init_cfg)
        strides = limit_strides((2, 2, 2), output_stride, stem=1)
        chosen = get_method(method)
        require_channels(base_channels)
        require_bands(in_channels)
        self.conv1 = nn.Conv2d(in_channels, base_channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(base_channels)
        self.nonlinearity = chosen.nonlinearity(base_channels)
        channels = base_channels
        stride, reached = 1, 1
        for i, (pool, dilation) in enumerate(strides):
            width = base_channels * 2**i
            layer = nn.Sequential()
            units = 1 if i == 0 else 2
            for j in range(units):
                # A removed pooling widens what comes after it, not what is before.
                unit = ConvUnit(
                    chosen,
                    channels,
                    width,
                    3,
                    dilation=reached if dilated else 1,
                    pool=pool if j == units - 1 else 1,
                )
                layer.add_module(f"unit{j + 1}", unit)
                layer.add_module(f"nonlinearity{j + 1}", chosen.nonlinearity(width))
                channels = width
            reached = dilation
            stride *= pool
            self.add_stage(layer, channels, stride)
        self.train_part(frozen_stages, norm_eval, recompute_stages)

    def stem(self, x: Tensor) -> Tensor:
        return self.nonlinearity(self.bn1(self.conv1(x)))
