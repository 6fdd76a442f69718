"""Multi-head attention of binary layers, with binary products if wanted."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cmim.functional.binary_attention import (
    code_scores,
    elastic_unit,
    grouped_unit,
    merge_heads,
    real_scores,
    split_heads,
)
from cmim.layers.projection import ProjectionUnit
from cmim.layers.tokens import TokenActivation, over_tokens
from cmim.methods import Method

# Which products are binary: none, that of queries and keys, or that with values, too.
ATTENTIONS = ("real", "scores", "binaryvit", "bhvit")
# BinaryViT starts at a step of 0.005 for 49 keys.
FIRST_STEP = 0.245


class ElasticProbabilities(nn.Module):
    r"""Probabilities of {0, step}, BinaryViT's.

    .. math:: b = \mathrm{elastic}(p;\, a / M)

    The step is learned in units of the mean probability of M keys, since their number
    follows the size of the picture (the published code's step is for 49 keys).

    Attributes:
        planes: Binary matrices that the probabilities are a sum of.

    Examples:
        >>> # a / M is 0.06125 for four keys.
        >>> ElasticProbabilities()(torch.tensor([0.9, 0.08, 0.01, 0.01])).tolist()
        [0.061250..., 0.061250..., 0.0, 0.0]
    """

    planes = 1

    def __init__(self) -> None:
        super().__init__()
        self.step = nn.Parameter(torch.tensor(FIRST_STEP))

    def forward(self, p: Tensor) -> Tensor:
        return elastic_unit(p, self.step / p.shape[-1])


class GroupedProbabilities(nn.Module):
    r"""Probabilities as a sum of three binary matrices, BHViT's.

    .. math:: b = \mathrm{grouped}(p;\, a / M,\, a_1,\, a_2)

    with the step in units of the mean probability, as in :class:`ElasticProbabilities`.
    Scores of signs lie 2 / sqrt(D) apart, so that a_1, of probabilities from 0.7 to 0.9
    of the largest one, is never used with fewer than 32 channels D a head.

    Attributes:
        planes: Binary matrices that the probabilities are a sum of.

    Examples:
        >>> GroupedProbabilities()(torch.tensor([0.9, 0.08, 0.01, 0.01])).tolist()
        [0.061250..., 0.061250..., 0.0, 0.0]
    """

    planes = 3

    def __init__(self) -> None:
        super().__init__()
        self.step = nn.Parameter(torch.tensor(FIRST_STEP))
        self.strong = nn.Parameter(torch.ones(()))
        self.strongest = nn.Parameter(torch.ones(()))

    def forward(self, p: Tensor) -> Tensor:
        step = self.step / p.shape[-1]
        return grouped_unit(p, step, self.strong, self.strongest)


PROBABILITIES = {"binaryvit": ElasticProbabilities, "bhvit": GroupedProbabilities}


class AttentionProducts(nn.Module):
    """The two products of attention: of queries and keys, and with values.

    Args:
        heads: Parts of the channels that attend on their own.
        attention: One of :data:`ATTENTIONS`.

    Shape:
        Queries ``(N, L, C)``, keys and values ``(N, M, C)`` to ``(N, L, C)``.

    Examples:
        >>> products = AttentionProducts(2)
        >>> x = torch.ones(1, 3, 4)
        >>> products(x, x, x).allclose(x)
        True
    """

    def __init__(self, heads: int, attention: str = "real") -> None:
        super().__init__()
        self.heads = heads
        self.attention = attention
        self.binarize_probabilities: nn.Module = nn.Identity()
        if attention in PROBABILITIES:
            self.binarize_probabilities = PROBABILITIES[attention]()

    def extra_repr(self) -> str:
        return f"heads={self.heads}, attention={self.attention}"

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        q, k, v = (split_heads(x, self.heads) for x in (queries, keys, values))
        scores = real_scores(q, k) if self.attention == "real" else code_scores(q, k)
        p = self.binarize_probabilities(torch.softmax(scores, dim=-1))
        return merge_heads(torch.bmm(p.to(v.dtype), v), self.heads)

    @property
    def planes(self) -> int | None:
        """Binary matrices that the probabilities are a sum of; None for real ones."""
        return getattr(self.binarize_probabilities, "planes", None)


def choose_attention(attention: str | None, method: Method) -> str:
    """The attention that was asked for, or BinaryViT's for binary activations.

    In full precision it is real whatever was asked for, since a twin has the options of
    its binary network.

    Args:
        attention: One of :data:`ATTENTIONS`, or None.
        method: Of the layers around.

    Raises:
        ValueError: Another one, or a binary one with binary weights and real
            activations.

    Examples:
        >>> from cmim.methods import get_method
        >>> [choose_attention(None, get_method(name)) for name in ("fp", "bireal")]
        ['real', 'binaryvit']
    """
    if attention is None:
        return "real" if method.activation is None else "binaryvit"
    if attention not in ATTENTIONS:
        raise ValueError(
            f"attention {attention!r} is unknown; choose from {', '.join(ATTENTIONS)}"
        )
    if not method.is_binary:
        return "real"
    if attention != "real" and method.activation is None:
        raise ValueError(
            f"attention {attention!r} binarizes queries and keys, and method "
            f"{method.name!r} keeps activations real; choose attention 'real' or "
            "another method"
        )
    return attention


class TokenAttention(nn.Module):
    r"""Attention of binary layers over tokens, with fewer keys if wanted.

    .. math::
        q = u_q(x), \quad z = \mathrm{LN}(u_r(x)), \quad k = u_k(z), \quad v = u_v(z),
        \qquad y = u_o\big(A(b(q), b(k), b(v))\big)

    with :class:`ProjectionUnit` u and :class:`AttentionProducts` A. With shortcuts the
    products are followed by BinaryViT's: ``g(B(A(...)) + q + up(k) + up(v))`` with
    nearest neighbours ``up`` where there are fewer keys. In full precision without
    shortcuts it is mmseg's ``EfficientMultiheadAttention`` without its residual.

    Compared in float64 with BinaryViT's ``ViTAttention`` (commit ca16a43, batch-norm in
    place of layer-norm as in its script, no layer scale, no reduction) with method
    ``reactnet`` and equal weights: outputs up to 13.9 differ by 5e-15, gradients of the
    input up to 21.7 by 1.2e-13. Its layers subtract each filter's mean from the
    weights, which is a matter of the method here: gradients of the weights agree to
    5e-13 once their means are subtracted. Its reduction averages and multiplies once;
    MiT's, which this is, multiplies in a convolution.

    Args:
        method: Binarizers of the layers, of queries, keys and values.
        channels: C, a multiple of ``heads``.
        heads: Parts of the channels that attend on their own.
        reduction: Side in tokens of the square that makes one key; 1 for all.
        attention: One of :data:`ATTENTIONS`.
        shortcuts: Each unit, and the products, have a shortcut.

    Shape:
        ``(N, H W, C)`` to the same.

    References:
        Xie et al., SegFormer, NeurIPS 2021, https://arxiv.org/abs/2105.15203; Le and
        Li, BinaryViT, CVPR workshops 2023,
        https://github.com/Phuoc-Hoan-Le/BinaryViT

    Examples:
        >>> from cmim.methods import get_method
        >>> layer = TokenAttention(get_method("bireal"), 8, 2, 2, "binaryvit", True)
        >>> layer(torch.randn(1, 12, 8), (3, 4)).shape
        torch.Size([1, 12, 8])
    """

    def __init__(
        self,
        method: Method,
        channels: int,
        heads: int,
        reduction: int,
        attention: str,
        shortcuts: bool,
    ) -> None:
        super().__init__()
        self.reduction = reduction
        self.shortcuts = shortcuts

        def unit() -> ProjectionUnit:
            same = nn.Identity() if shortcuts else None
            return ProjectionUnit(method, nn.Linear(channels, channels), same)

        self.q, self.k, self.v, self.proj = (unit() for _ in range(4))
        if reduction > 1:
            conv = nn.Conv2d(channels, channels, reduction, reduction)
            pool = nn.AvgPool2d(reduction) if shortcuts else None
            self.sr = ProjectionUnit(method, conv, pool)
            self.norm = nn.LayerNorm(channels, eps=1e-6)
        codes = {"real": 0, "scores": 2}.get(attention, 3)
        self.binarize_q, self.binarize_k, self.binarize_v = (
            _make_binarizer(method, channels) if k < codes else nn.Identity()
            for k in range(3)
        )
        self.products = AttentionProducts(heads, attention)
        self.normalize: nn.Module = nn.Identity()
        self.nonlinearity: nn.Module = nn.Identity()
        if shortcuts and method.activation is not None:
            self.normalize = nn.BatchNorm2d(channels)
            self.nonlinearity = method.nonlinearity(channels)

    def forward(self, x: Tensor, grid: tuple[int, int]) -> Tensor:
        """Attend.

        Args:
            x: Tokens ``(N, H W, C)``.
            grid: H and W.
        """
        z, small = self._reduced(x, grid)
        q, k, v = self.q(x), self.k(z), self.v(z)
        out = self.products(self.binarize_q(q), self.binarize_k(k), self.binarize_v(v))
        if self.shortcuts:
            out = over_tokens(self.normalize, out) + q
            out = out + _spread(k, small, grid) + _spread(v, small, grid)
            out = over_tokens(self.nonlinearity, out)
        return self.proj(out)

    def _reduced(
        self, x: Tensor, grid: tuple[int, int]
    ) -> tuple[Tensor, tuple[int, int]]:
        """What keys and values are made of, and its rows and columns."""
        if self.reduction == 1:
            return x, grid
        maps = x.transpose(1, 2).unflatten(2, grid)
        # Of a picture that is smaller than one square the rest is 0.
        missing = [max(0, self.reduction - side) for side in grid]
        if any(missing):
            maps = nn.functional.pad(maps, (0, missing[1], 0, missing[0]))
        found = self.sr(maps)
        tokens = found.flatten(2).transpose(1, 2).contiguous()
        return self.norm(tokens), (found.shape[2], found.shape[3])


def _make_binarizer(method: Method, channels: int) -> nn.Module:
    assert method.activation is not None
    return TokenActivation(method.activation(channels))


def _spread(x: Tensor, small: tuple[int, int], grid: tuple[int, int]) -> Tensor:
    """Tokens of a coarse grid for each place of a fine one, from the nearest."""
    if small == grid:
        return x
    maps = x.transpose(1, 2).unflatten(2, small)
    return nn.functional.interpolate(maps, size=grid).flatten(2).transpose(1, 2)
