"""Torch's attention as linear layers that can become binary."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn


class UnpackedAttention(nn.Module):
    """``nn.MultiheadAttention`` of four linear layers, which are called by their names.

    Torch's own reads the weights of its parts without calling them, and keeps three of
    them in one matrix, so that none can be replaced.

    Args:
        attention: Torch's, whose weights are copied.

    Shape:
        Queries, keys and values and the result as torch's, batched; of the arguments
        ``key_padding_mask``, ``attn_mask``, ``need_weights`` and
        ``average_attn_weights``.

    Raises:
        ValueError: Extra keys (``add_bias_kv``, ``add_zero_attn``).

    Examples:
        >>> theirs = nn.MultiheadAttention(4, 2, batch_first=True).eval()
        >>> ours, x = UnpackedAttention(theirs), torch.randn(2, 3, 4)
        >>> torch.allclose(ours(x, x, x)[0], theirs(x, x, x)[0], atol=1e-6)
        True
    """

    # Without it torch's encoder layer calls its attention, and takes no fast path that
    # reads the weights.
    in_proj_bias = None

    def __init__(self, attention: nn.MultiheadAttention) -> None:
        super().__init__()
        if attention.bias_k is not None or attention.add_zero_attn:
            raise ValueError(
                "attention with extra keys (add_bias_kv, add_zero_attn) cannot be "
                "unpacked: leave it as it is"
            )
        self.embed_dim = attention.embed_dim
        self.num_heads = attention.num_heads
        self.batch_first = attention.batch_first
        self.dropout = attention.dropout
        weights: tuple[Tensor, ...] = (
            attention.q_proj_weight,
            attention.k_proj_weight,
            attention.v_proj_weight,
        )
        if attention.in_proj_weight is not None:
            weights = attention.in_proj_weight.chunk(3)
        packed = attention.in_proj_bias
        biases = (None, None, None) if packed is None else packed.chunk(3)
        self.q, self.k, self.v = map(_linear, weights, biases)
        self.out = _linear(attention.out_proj.weight, attention.out_proj.bias)
        self.train(attention.training)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Attend, as torch does; ``is_causal`` is a hint beside ``attn_mask``."""
        given: tuple[Tensor, ...] = (query, key, value)
        if not self.batch_first:
            given = tuple(x.transpose(0, 1) for x in given)
        layers = (self.q, self.k, self.v)
        q, k, v = (self._heads(f(x)) for f, x in zip(layers, given, strict=True))
        scores = (q * math.sqrt(1.0 / q.shape[-1])) @ k.transpose(-2, -1)
        if attn_mask is not None:
            scores = scores + _added(attn_mask, scores)
        if key_padding_mask is not None:
            scores = scores + _added(key_padding_mask[:, None, None], scores)
        p = torch.softmax(scores, dim=-1)
        p = nn.functional.dropout(p, self.dropout, self.training)
        out = self.out((p @ v).transpose(1, 2).flatten(2))
        if not self.batch_first:
            out = out.transpose(0, 1)
        if not need_weights:
            return out, None
        return out, p.mean(dim=1) if average_attn_weights else p

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.num_heads, -1)).transpose(1, 2)


def unpack_attention(network: nn.Module) -> nn.Module:
    """A copy of a network whose attention of torch is made of linear layers.

    :func:`cmim.convert.convert` then makes queries, keys, values and outputs binary
    like any other linear layer; ``keep`` names them as ``'*.attn.q'`` and the like.
    The copy computes the same up to rounding.

    Args:
        network: Any module. It is not changed.

    Returns:
        The copy; what no attention of torch is in it stays as it is.

    Raises:
        ValueError: No attention in it, or one with extra keys.

    Examples:
        >>> net = nn.Sequential(nn.TransformerEncoderLayer(4, 2, 8, batch_first=True))
        >>> [n for n, m in unpack_attention(net).named_modules()
        ...  if isinstance(m, nn.Linear)][:4]
        ['0.self_attn.q', '0.self_attn.k', '0.self_attn.v', '0.self_attn.out']
    """
    unpacked = copy.deepcopy(network)
    found = {
        name: module
        for name, module in unpacked.named_modules()
        if isinstance(module, nn.MultiheadAttention)
    }
    if not found or "" in found:
        raise ValueError(
            f"a {type(network).__name__} holds no nn.MultiheadAttention that could be "
            "unpacked: convert it as it is"
        )
    for name, module in found.items():
        try:
            unpacked.set_submodule(name, UnpackedAttention(module))
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    for part in unpacked.modules():
        if isinstance(part, nn.TransformerEncoder):
            # What would pack padded sequences reads weights that are no longer there.
            part.use_nested_tensor = part.enable_nested_tensor = False
    return unpacked


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    made = nn.Linear(weight.shape[1], weight.shape[0], bias is not None)
    made.weight = nn.Parameter(weight.detach().clone())
    if bias is not None:
        made.bias = nn.Parameter(bias.detach().clone())
    return made


def _added(mask: Tensor, scores: Tensor) -> Tensor:
    """What a mask adds to scores ``(N, heads, L, M)``: minus infinity where True."""
    if mask.dtype == torch.bool:
        mask = torch.zeros_like(mask, dtype=scores.dtype).masked_fill(mask, -math.inf)
    return mask.view_as(scores) if mask.dim() == 3 else mask
