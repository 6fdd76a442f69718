"""BNext: ReActNet-A's outline of gated binary convolutions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from cmim.encoders.encoder import (
    BinaryEncoder,
    limit_strides,
    require_bands,
    require_channels,
)
from cmim.encoders.gated_unit import GatedUnit
from cmim.methods import Method, get_method

# Blocks of a width; the first stage has one of half its width in front.
TINY = (2, 2, 6, 2)


class BNextBlock(nn.Module):
    """A gated 3x3 convolution, and a gated 1x1 one, or two side by side.

    Args:
        method: Binarizers and output scale.
        in_channels: Input channels.
        out_channels: As many, or twice as many: two 1x1 units behind one another in
            the channels, each with the shortcut.
        stride: Stride of the 3x3 convolution in pixels.
        dilation: Dilation of the 3x3 convolution in pixels.
        products: Of the 3x3 convolution, see :class:`GatedUnit`.

    Shape:
        ``(N, I, H, W)`` to ``(N, O, ceil(H / stride), ceil(W / stride))``.
    """

    def __init__(
        self,
        method: Method,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        dilation: int = 1,
        products: bool = False,
    ) -> None:
        super().__init__()
        self.spatial = GatedUnit(method, in_channels, 3, stride, dilation, products)
        self.pointwise = nn.ModuleList(
            GatedUnit(method, in_channels, 1)
            for _ in range(out_channels // in_channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.spatial(x)
        parts = [unit(x) for unit in self.pointwise]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


@MODELS.register_module()
class BinaryBNext(BinaryEncoder):
    """BNext, whose 3x3 and 1x1 convolutions are binarized by a method chosen by name.

    Stem, gates, PReLUs and batch-norm stay full precision. The published networks are
    Tiny (``base_channels=32``), Small (48), Middle (48, ``blocks=(4, 4, 8, 4)``) and
    Large (64, ``blocks=(4, 4, 16, 4)``), with BNext's own signs: ``sign(a + b)`` of
    learned b with the gradient ``1{|a + b| <= 1.5}``, and ``sign(w)``, reached from
    clipped weights by a falling temperature. ``method='reactnet'`` is near to that, not
    the same. The last stage ends with the PReLU in front of the published classifier.

    Args:
        method: Name of a binarization method, or ``dict(name=..., **options)``.
        output_stride: Input pixels per feature pixel of the last stage: 2 to 32.
        dilated: Replace each removed stride by a dilation (DeepLab).
        base_channels: Channels of the stem; stages have 4, 8, 16, 32 times that.
        blocks: How many blocks each stage has; the first has one more.
        out_indices: Which of the four stages are returned; all when None.
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
        ValueError: Unknown method, output stride or stage; no channels; not four
            numbers of blocks of at least 1.

    References:
        Guo et al., Join the High Accuracy Club on ImageNet with A Binary Neural Network
        Ticket, 2022. https://arxiv.org/abs/2211.12933

    Examples:
        >>> net = BinaryBNext(base_channels=4)
        >>> [tuple(f.shape) for f in net(torch.zeros(2, 3, 64, 64))]
        [(2, 16, 16, 16), (2, 32, 8, 8), (2, 64, 4, 4), (2, 128, 2, 2)]
    """

    def __init__(
        self,
        method: str | dict = "reactnet",
        output_stride: int | None = None,
        dilated: bool = True,
        base_channels: int = 32,
        blocks: Sequence[int] = TINY,
        out_indices: Sequence[int] | None = None,
        init_from: str | None = None,
        init_cfg: dict | None = None,
        in_channels: int = 3,
        frozen_stages: int = -1,
        norm_eval: bool = False,
        recompute_stages: bool = False,
    ) -> None:
        super().__init__(len(TINY), out_indices, init_from, init_cfg)
        if len(blocks) != len(TINY) or min(blocks) < 1:
            raise ValueError(
                f"blocks must be four numbers of at least 1, got {tuple(blocks)}"
            )
        chosen = get_method(method)
        base = require_channels(base_channels)
        require_bands(in_channels)
        self.conv1 = nn.Conv2d(in_channels, base, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(base)
        strides = limit_strides((2, 2, 2, 2), output_stride, stem=2)
        channels, reached, made = 2 * base, 2, 0
        for i, (stride, dilation) in enumerate(strides):
            layer = nn.Sequential()
            if i == 0:
                # At the stem's resolution.
                layer.append(BNextBlock(chosen, base, channels))
            for j in range(blocks[i]):
                made += 1
                block = BNextBlock(
                    chosen,
                    channels,
                    base * 2 ** (i + 2),
                    stride if j == 0 else 1,
                    dilation if dilated else 1,
                    # Every second block of the network, the first one behind a stride.
                    products=made % 2 == 1,
                )
                layer.append(block)
                channels = base * 2 ** (i + 2)
            reached *= stride
            if i == len(TINY) - 1:
                layer.append(nn.PReLU(channels))
            self.add_stage(layer, channels, reached)
        self.train_part(frozen_stages, norm_eval, recompute_stages)

    def stem(self, x: Tensor) -> Tensor:
        return self.bn1(self.conv1(x))
