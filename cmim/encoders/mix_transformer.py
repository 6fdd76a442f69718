"""SegFormer's transformer, MiT, with binary layers and binary attention."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mmseg.registry import MODELS
from torch import Tensor, nn

from cmim.encoders.encoder import (
    BinaryEncoder,
    limit_strides,
    require_bands,
    require_channels,
)
from cmim.encoders.mix_block import (
    EPSILON,
    MixBlock,
    MixFeedForward,
    MixStage,
    PatchEmbedding,
)
from cmim.encoders.mix_weights import own_names
from cmim.layers import TokenAttention
from cmim.layers.attention import choose_attention
from cmim.methods import Method, get_method

PATCHES = (7, 3, 3, 3)
STRIDES = (4, 2, 2, 2)
SHORTCUTS = ("per_layer", "per_block")


@MODELS.register_module()
class BinaryMixTransformer(BinaryEncoder):
    """MiT, SegFormer's encoder, whose layers and attention are binarized by a method.

    Queries, keys, values, projections, the reduction of the keys and the 1x1
    convolutions are binary; patch embeddings, depth-wise convolutions and norms stay
    full precision. The defaults are MiT-B0. ``method='fp'`` is mmseg's
    ``MixVisionTransformer`` (to the last bit or to rounding, as the processor sums),
    whose checkpoints load into the latent weights of any method.

    What follows BinaryViT is the attention with two binary products, and a shortcut
    around every binary layer (``shortcuts='per_layer'``); its pooling branches and
    layer scales are left out. Of BHViT it has the probabilities
    (``attention='bhvit'``); its windows, token mixers and shifts are left out.

    Args:
        method: Name of a binarization method, or ``dict(name=..., **options)``.
        attention: ``'real'`` (no product is binary), ``'scores'`` (that of queries and
            keys), ``'binaryvit'`` or ``'bhvit'`` (both, with probabilities of one or
            three binary matrices); ``'binaryvit'``, with real activations ``'real'``,
            when None. In full precision it is ``'real'`` in any case.
        shortcuts: ``'per_layer'`` (BinaryViT) or ``'per_block'`` (MiT); the latter
            with real activations, the former else, when None.
        output_stride: Input pixels per feature pixel of the last stage: 4, 8, 16, 32.
        dilated: Replace each removed stride by a dilation of patches and depth-wise
            convolutions. Attention sees more keys then.
        base_channels: Channels of a head; stages have as many for each of their heads.
        depths: Blocks of each stage.
        num_heads: Heads of each stage.
        sr_ratios: Side in tokens of the square that makes one key, for each stage.
        mlp_ratio: Hidden channels of the feed-forward layers over the stage's.
        drop_path: Largest share of the samples for which a part of a block is left out
            in training; it grows from 0 over the blocks.
        out_indices: Which of the four stages are returned; all when None.
        init_from: Path of a checkpoint for the latent weights: of mmseg's
            ``MixVisionTransformer``, or of this project.
        init_cfg: mmengine initialisation; mmseg's for this network when None.
        in_channels: Bands of the pictures, 3 for RGB.
        frozen_stages: See :meth:`BinaryEncoder.train_part`, likewise the next two.
        norm_eval: Keep batch-norm statistics as they are.
        recompute_stages: Less memory, more time.

    Shape:
        ``(N, in_channels, H, W)`` to a tuple of
        ``(N, C_i, ceil(H / s_i), ceil(W / s_i))``.

    Raises:
        ValueError: Unknown method, attention, shortcuts, output stride or stage; no
            channels; a binary attention with a method of binary weights alone.

    References:
        Xie et al., SegFormer, NeurIPS 2021, https://arxiv.org/abs/2105.15203; Le and
        Li, BinaryViT, CVPR workshops 2023,
        https://github.com/Phuoc-Hoan-Le/BinaryViT; Gao et al., BHViT, CVPR 2025,
        https://arxiv.org/abs/2503.02394

    Examples:
        >>> import torch
        >>> net = BinaryMixTransformer(base_channels=4)
        >>> [tuple(f.shape) for f in net(torch.zeros(2, 3, 64, 64))]
        [(2, 4, 16, 16), (2, 8, 8, 8), (2, 20, 4, 4), (2, 32, 2, 2)]
    """

    accepted_weights = "checkpoints of mmseg's MixVisionTransformer"

    def __init__(
        self,
        method: str | dict = "reactnet",
        attention: str | None = None,
        shortcuts: str | None = None,
        output_stride: int | None = None,
        dilated: bool = True,
        base_channels: int = 32,
        depths: Sequence[int] = (2, 2, 2, 2),
        num_heads: Sequence[int] = (1, 2, 5, 8),
        sr_ratios: Sequence[int] = (8, 4, 2, 1),
        mlp_ratio: int = 4,
        drop_path: float = 0.0,
        out_indices: Sequence[int] | None = None,
        init_from: str | None = None,
        init_cfg: dict | None = None,
        in_channels: int = 3,
        frozen_stages: int = -1,
        norm_eval: bool = False,
        recompute_stages: bool = False,
    ) -> None:
        super().__init__(len(STRIDES), out_indices, init_from, init_cfg)
        chosen = get_method(method)
        products = choose_attention(attention, chosen)
        per_layer = _choose_shortcuts(shortcuts, chosen) == "per_layer"
        _require_four(depths=depths, num_heads=num_heads, sr_ratios=sr_ratios)
        require_channels(base_channels)
        last, reached, before = require_bands(in_channels), 1, 1
        rates = _rates(drop_path, depths)
        self.layers = nn.ModuleList()
        for i, (stride, dilation) in enumerate(
            limit_strides(STRIDES, output_stride, 1)
        ):
            dilation = dilation if dilated else 1
            width = base_channels * num_heads[i]
            blocks = [
                MixBlock(
                    TokenAttention(
                        chosen, width, num_heads[i], sr_ratios[i], products, per_layer
                    ),
                    MixFeedForward(chosen, width, mlp_ratio, dilation, per_layer),
                    width,
                    rate,
                )
                for rate in rates[i]
            ]
            reached *= stride
            embedding = PatchEmbedding(last, width, PATCHES[i], stride, before)
            norm = nn.LayerNorm(width, eps=EPSILON)
            stage = MixStage([embedding, nn.ModuleList(blocks), norm])
            self.layers.append(stage)
            self.declare_stage(f"layers.{i}", width, reached)
            last, before = width, dilation
        self.train_part(frozen_stages, norm_eval, recompute_stages)

    def stem(self, x: Tensor) -> Tensor:
        return x

    def initialise(self) -> None:
        """As mmseg does for this network."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
            elif isinstance(module, nn.Conv2d):
                # Outputs that one input reaches, of a grouped convolution a group's.
                fan = module.weight.shape[0] * module.weight[0, 0].numel()
                deviation = math.sqrt(2 * module.groups / fan)
                nn.init.normal_(module.weight, std=deviation)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def rename_weights(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        return own_names(state)


def _choose_shortcuts(shortcuts: str | None, method: Method) -> str:
    if shortcuts is None:
        return "per_block" if method.activation is None else "per_layer"
    if shortcuts not in SHORTCUTS:
        raise ValueError(
            f"shortcuts {shortcuts!r} is unknown; choose from {', '.join(SHORTCUTS)}"
        )
    return shortcuts


def _require_four(**given: Sequence[int]) -> None:
    for name, values in given.items():
        if len(values) != len(STRIDES) or min(values) < 1:
            raise ValueError(
                f"{name} {tuple(values)}: give {len(STRIDES)} numbers from 1 on, one "
                "for each stage"
            )


def _rates(drop_path: float, depths: Sequence[int]) -> list[list[float]]:
    """Shares for each block of each stage, from 0 to the largest in even steps."""
    blocks = sum(depths)
    rates = iter(drop_path * k / max(blocks - 1, 1) for k in range(blocks))
    return [[next(rates) for _ in range(depth)] for depth in depths]
