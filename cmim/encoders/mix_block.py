"""Patches, blocks and stages of SegFormer's transformer, MiT."""

from __future__ import annotations

from mmcv.cnn.bricks.drop import DropPath
from torch import Tensor, nn

from cmim.layers import ProjectionUnit, TokenAttention
from cmim.layers.projection import PoolChannels, RepeatChannels
from cmim.methods import Method

# Of the layer norms.
EPSILON = 1e-6


class PatchEmbedding(nn.Module):
    """Overlapping patches as normalised tokens, in full precision.

    Args:
        in_channels: Of the maps.
        channels: Of the tokens.
        size: Odd side of a patch in pixels.
        stride: Distance of the patches in pixels.
        dilation: Distance of the pixels in a patch.

    Shape:
        Maps ``(N, I, H, W)`` to tokens ``(N, L, C)`` and their rows and columns.
    """

    def __init__(
        self, in_channels: int, channels: int, size: int, stride: int, dilation: int
    ) -> None:
        super().__init__()
        padding = dilation * (size // 2)
        self.projection = nn.Conv2d(
            in_channels, channels, size, stride, padding, dilation
        )
        self.norm = nn.LayerNorm(channels, eps=EPSILON)

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[int, int]]:
        x = self.projection(x)
        return self.norm(x.flatten(2).transpose(1, 2)), (x.shape[2], x.shape[3])


class MixFeedForward(nn.Module):
    r"""Binary 1x1 convolutions with a depth-wise one, which says where a token lies.

    .. math:: y = u_2\big(\mathrm{GELU}(w_d * u_1(x))\big)

    The depth-wise convolution stays full precision.

    Args:
        method: Binarizers.
        channels: C.
        ratio: Hidden channels over C.
        dilation: Of the depth-wise convolution, in places.
        shortcuts: Both binary convolutions have a shortcut, as in BinaryViT: to the
            hidden channels by repeating the input, and back by means of neighbours.

    Shape:
        Maps ``(N, C, H, W)`` to the same.
    """

    def __init__(
        self, method: Method, channels: int, ratio: int, dilation: int, shortcuts: bool
    ) -> None:
        super().__init__()
        hidden = ratio * channels
        wider, narrower = (
            (RepeatChannels(ratio), PoolChannels(ratio)) if shortcuts else (None, None)
        )
        self.fc1 = ProjectionUnit(method, nn.Conv2d(channels, hidden, 1), wider)
        self.depthwise = nn.Conv2d(
            hidden, hidden, 3, padding=dilation, dilation=dilation, groups=hidden
        )
        self.activate = nn.GELU()
        self.fc2 = ProjectionUnit(method, nn.Conv2d(hidden, channels, 1), narrower)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.activate(self.depthwise(self.fc1(x))))


class MixBlock(nn.Module):
    """Attention and feed-forward layers, each normalised and with a shortcut around.

    Args:
        attention: Of tokens, called with their rows and columns.
        feed_forward: Of maps.
        channels: C.
        drop_path: Share of the samples for which a part is left out in training.

    Shape:
        Tokens ``(N, H W, C)`` to the same.
    """

    def __init__(
        self,
        attention: TokenAttention,
        feed_forward: MixFeedForward,
        channels: int,
        drop_path: float,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels, eps=EPSILON)
        self.attn = attention
        self.norm2 = nn.LayerNorm(channels, eps=EPSILON)
        self.ffn = feed_forward
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        x = x + self.drop_path(self.attn(self.norm1(x), grid))
        maps = self.norm2(x).transpose(1, 2).unflatten(2, grid)
        tokens = self.ffn(maps).flatten(2).transpose(1, 2).contiguous()
        return x + self.drop_path(tokens)


class MixStage(nn.ModuleList):
    """Patches, blocks and a norm, numbered as in mmseg.

    Shape:
        Maps ``(N, I, H, W)`` to maps ``(N, C, H', W')``.
    """

    def forward(self, x: Tensor) -> Tensor:
        embedding, blocks, norm = self
        x, grid = embedding(x)
        for block in blocks:  # type: ignore[attr-defined]
            x = block(x, grid)
        return norm(x).transpose(1, 2).unflatten(2, grid)
