"""ResNet-18, 34, 50, 101, 152 and 20 with binarized convolutions."""

from __future__ import annotations

from collections.abc import Sequence

from mmseg.registry import MODELS
from torch import Tensor, nn

from cmim.encoders.encoder import (
    BinaryEncoder,
    limit_strides,
    require_bands,
    require_channels,
    stage_methods,
)
from cmim.encoders.stems import grouped_stem, paired_stem
from cmim.layers import BasicBlock, Bottleneck
from cmim.methods import Method, get_method

BLOCKS = {
    18: (2, 2, 2, 2),
    20: (3, 3, 3),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
# From here on blocks are bottlenecks.
FIRST_DEEP = 50
STEMS = ("imagenet", "cifar", "pair", "grouped")


@MODELS.register_module()
class BinaryResNet(BinaryEncoder):
    """ResNet whose convolutions are binarized by a method chosen by name.

    Stem, down-sampling shortcuts and batch-norm stay full precision. Modules are named
    as in torchvision, so its weights load into the latent weights.
    ``method='fp'`` gives the full-precision twin: same topology, same names.

    Args:
        depth: 18, 34; 50, 101, 152 (of :class:`cmim.layers.Bottleneck`, whose stages
            have four times the channels); or 20 (three stages of three blocks, for
            CIFAR).
        method: Name of a binarization method, or ``dict(name=..., **options)``.
        stem: ``'imagenet'`` (7x7 of stride 2, and a max-pooling of stride 2),
            ``'cifar'`` (3x3 of stride 1), or of stride 4 with fewer multiplications
            ``'pair'`` (two 3x3 of stride 2) and ``'grouped'`` (QuickNet's), see
            :mod:`cmim.encoders.stems`; by the depth when None.
        output_stride: Input pixels per feature pixel of the last stage: 4, 8, 16 or
            32, with the CIFAR stem 1, 2, 4 (and 8 for four stages); the last of
            these when None.
        dilated: Replace each removed stride by a dilation (DeepLab). Without it the
            field of view shrinks, which suits small crops.
        base_channels: Channels of the first stage, doubled in each next one; 64, for
            depth 20 16, when None. Of bottlenecks, those of their 3x3 convolutions.
        shortcuts: ``'per_conv'`` (Bi-Real Net) or ``'per_block'`` (ResNet).
        downsample: Shortcut where the resolution changes: ``'projection'`` (a full
            precision 1x1 convolution) or ``'padding'`` (channels of zeros, no
            parameters); the latter for depth 20, as published, when None.
        real_stages: Which stages stay full precision, from 0: a first or last stage
            may cost less in 8 bits than it loses in one.
        out_indices: Which stages are returned, from 0; all when None.
        init_from: Path of a checkpoint for the latent weights: a state dict of
            torchvision's ResNet of the same depth, or a checkpoint of this project.
        init_cfg: mmengine initialisation; Kaiming normal when None.
        in_channels: Bands of the pictures, 3 for RGB.
        frozen_stages: See :meth:`BinaryEncoder.train_part`, likewise the next two.
        norm_eval: Keep batch-norm statistics as they are.
        recompute_stages: Less memory, more time.

    Shape:
        ``(N, in_channels, H, W)`` to a tuple of
        ``(N, C_i, ceil(H / s_i), ceil(W / s_i))``.

    Raises:
        ValueError: Unknown depth, method, stem, shortcut, output stride or stage; no
            channels.

    References:
        He et al., CVPR 2016, https://arxiv.org/abs/1512.03385;
        Liu et al., Bi-Real Net, ECCV 2018, https://arxiv.org/abs/1808.00278

    Examples:
        >>> import torch
        >>> net = BinaryResNet(depth=18, base_channels=8, output_stride=8)
        >>> [tuple(f.shape) for f in net(torch.zeros(1, 3, 65, 64))]
        [(1, 8, 17, 16), (1, 16, 9, 8), (1, 32, 9, 8), (1, 64, 9, 8)]
        >>> net = BinaryResNet(depth=20)
        >>> [tuple(f.shape) for f in net(torch.zeros(1, 3, 32, 32))]
        [(1, 16, 32, 32), (1, 32, 16, 16), (1, 64, 8, 8)]
    """

    def __init__(
        self,
        depth: int = 18,
        method: str | dict = "bireal",
        stem: str | None = None,
        output_stride: int | None = None,
        dilated: bool = True,
        base_channels: int | None = None,
        shortcuts: str = "per_conv",
        downsample: str | None = None,
        real_stages: Sequence[int] = (),
        out_indices: Sequence[int] | None = None,
        init_from: str | None = None,
        init_cfg: dict | None = None,
        in_channels: int = 3,
        frozen_stages: int = -1,
        norm_eval: bool = False,
        recompute_stages: bool = False,
    ) -> None:
        if depth not in BLOCKS:
            raise ValueError(
                f"depth {depth} is unknown; choose from {', '.join(map(str, BLOCKS))}"
            )
        counts = BLOCKS[depth]
        super().__init__(len(counts), out_indices, init_from, init_cfg)
        for_cifar = depth == 20
        stem = stem or ("cifar" if for_cifar else "imagenet")
        if stem not in STEMS:
            raise ValueError(
                f"stem {stem!r} is unknown; choose from {', '.join(STEMS)}"
            )
        reached = 1 if stem == "cifar" else 4
        designed = (1, *[2] * (len(counts) - 1))
        strides = limit_strides(designed, output_stride, reached)
        methods = stage_methods(method, real_stages, len(counts))
        if base_channels is None:
            base_channels = 16 if for_cifar else 64
        base = require_channels(base_channels)
        self._add_stem(stem, get_method(method), base, require_bands(in_channels))
        downsample = downsample or ("padding" if for_cifar else "projection")
        kind = BasicBlock if depth < FIRST_DEEP else Bottleneck
        channels = base
        for i, (stride, dilation) in enumerate(strides):
            layer = nn.Sequential()
            for j in range(counts[i]):
                block = kind(
                    methods[i],
                    channels,
                    base * 2**i,
                    stride=stride if j == 0 else 1,
                    dilation=dilation if dilated else 1,
                    shortcuts=shortcuts,
                    downsample=downsample,
                )
                layer.append(block)
                channels = base * 2**i * kind.expansion
            reached *= stride
            self.add_stage(layer, channels, reached)
        self.train_part(frozen_stages, norm_eval, recompute_stages)

    def _add_stem(self, stem: str, method: Method, width: int, bands: int) -> None:
        if stem == "pair":
            self.conv1: nn.Module = paired_stem(bands, width)
        elif stem == "grouped":
            self.conv1 = grouped_stem(bands, width)
        else:
            size, stride = (7, 2) if stem == "imagenet" else (3, 1)
            self.conv1 = nn.Conv2d(
                bands, width, size, stride=stride, padding=size // 2, bias=False
            )
        self.bn1 = nn.BatchNorm2d(width)
        self.nonlinearity = method.nonlinearity(width)
        self.maxpool = (
            nn.MaxPool2d(3, stride=2, padding=1)
            if stem == "imagenet"
            else nn.Identity()
        )

    def stem(self, x: Tensor) -> Tensor:
        return self.maxpool(self.nonlinearity(self.bn1(self.conv1(x))))
