"""Torch's attention as linear layers: equal, and ready to become binary."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from cmim.convert import convert, unpack_attention
from cmim.convert.unpack import UnpackedAttention
from cmim.layers import BinaryLinear


def attention(**options) -> nn.MultiheadAttention:
    torch.manual_seed(0)
    made = nn.MultiheadAttention(12, 3, **options).eval()
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.3)
    return made


@pytest.mark.parametrize(
    "options",
    [{}, {"batch_first": True}, {"bias": False}, {"kdim": 5, "vdim": 7}],
    ids=str,
)
@pytest.mark.parametrize("average", [True, False])
@torch.no_grad()
def test_answers_and_weights_are_torchs(options, average):
    theirs = attention(**options)
    ours = UnpackedAttention(theirs)
    q = torch.randn(4, 6, 12)
    k = torch.randn(4, 6, options.get("kdim", 12))
    v = torch.randn(4, 6, options.get("vdim", 12))
    expected = theirs(q, k, v, average_attn_weights=average)
    found = ours(q, k, v, average_attn_weights=average)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-6)
    assert ours(q, k, v, need_weights=False)[1] is None


@torch.no_grad()
@pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask")
def test_masks_are_torchs():
    theirs = attention(batch_first=True)
    ours = UnpackedAttention(theirs)
    q, k = torch.randn(2, 4, 12), torch.randn(2, 5, 12)
    padding = torch.zeros(2, 5, dtype=torch.bool)
    padding[1, 3:] = True
    masks = {
        "places": torch.arange(5) > torch.arange(4)[:, None] + 1,
        "added": torch.randn(4, 5),
        "each head": torch.randn(6, 4, 5) > 0.8,
    }
    for mask in masks.values():
        given = dict(key_padding_mask=padding, attn_mask=mask)
        expected, found = theirs(q, k, k, **given)[0], ours(q, k, k, **given)[0]
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6, equal_nan=True)
        assert not torch.allclose(found, ours(q, k, k)[0], atol=1e-3)


@torch.no_grad()
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_a_layer_of_torch_takes_no_road_past_the_attention():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    net = nn.TransformerEncoder(layer, 2).eval()
    unpacked = unpack_attention(net)
    x = torch.randn(2, 5, 8)
    torch.testing.assert_close(unpacked(x), net(x), rtol=0, atol=1e-6)
    padding = torch.arange(5).expand(2, 5) > torch.tensor([[4], [2]])
    found = unpacked(x, src_key_padding_mask=padding)
    expected = net(x, src_key_padding_mask=padding)
    torch.testing.assert_close(found[~padding], expected[~padding], rtol=0, atol=1e-6)
    assert any(isinstance(m, nn.MultiheadAttention) for m in net.modules())


def test_queries_keys_values_and_answers_become_binary():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(8, 8),
        nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True),
        nn.Linear(8, 4),
    )
    example = torch.randn(3, 5, 8)
    _, kept = convert(net, "bireal", example=example)
    reasons = {row.name: row.why for row in kept}
    assert reasons["1.self_attn.out_proj"] == "never called by itself"
    binary, rows = convert(unpack_attention(net), "bireal", example=example)
    became = {row.name for row in rows if row.became == "BinaryLinear"}
    assert {f"1.self_attn.{part}" for part in ("q", "k", "v", "out")} < became
    assert sum(isinstance(m, BinaryLinear) for m in binary.modules()) == 6
    binary(example).sum().backward()
    assert binary[1].self_attn.q.conv.weight.grad.abs().sum() > 0


def test_what_cannot_be_unpacked_is_said():
    with pytest.raises(ValueError, match="holds no nn"):
        unpack_attention(nn.Sequential(nn.Linear(2, 2)))
    net = nn.Sequential(nn.MultiheadAttention(4, 2, add_zero_attn=True))
    with pytest.raises(ValueError, match="0: attention with extra keys"):
        unpack_attention(net)
