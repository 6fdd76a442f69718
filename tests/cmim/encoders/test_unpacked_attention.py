"""Encoders whose attention of torch becomes linear layers, and weights of before."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from cmim.checkpoint import CheckpointError
from cmim.encoders import BinarizedEncoder

OPTIONS = dict(
    embed_dims=16, num_stages=2, num_layers=[1, 1], num_heads=[1, 2],
    patch_sizes=[7, 3], strides=[4, 2], sr_ratios=[2, 1], out_indices=(0, 1),
)  # fmt: skip
X = torch.randn(2, 3, 32, 48, generator=torch.Generator().manual_seed(1))


def encoder(method: str, unpack: bool, **options) -> BinarizedEncoder:
    torch.manual_seed(0)
    made = BinarizedEncoder(
        "mmseg/MixVisionTransformer",
        method,
        network_options=OPTIONS,
        unpack_attention=unpack,
        **options,
    )
    made.init_weights()
    return made


def saved(network: nn.Module, path) -> str:
    state = {key: value + 0.01 for key, value in network.state_dict().items()}
    torch.save(state, path)
    network.load_state_dict(state)
    return str(path)


def test_queries_keys_values_and_outputs_become_binary():
    packed, unpacked = (encoder("bireal", flag) for flag in (False, True))
    names = [
        {row.name for row in made.rows if row.became} for made in (packed, unpacked)
    ]
    more = names[1] - names[0]
    assert names[0] < names[1]
    assert {name.rpartition(".")[2] for name in more} == {"q", "k", "v", "out"}
    assert all(f.isfinite().all() for f in unpacked.train()(X))


@pytest.mark.full
@torch.no_grad()
@pytest.mark.parametrize("method", ["fp", "bireal"])
def test_weights_of_the_library_load(method, tmp_path):
    whole = encoder("fp", False).eval()
    path = saved(whole.network, tmp_path / "weights.pth")
    made = encoder(method, True, pretrained=path).eval()
    if method == "fp":
        for ours, theirs in zip(made(X), whole(X), strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)
    theirs = whole.network.get_submodule("layers.0.1.0.attn.attn")
    ours = made.network.get_submodule("layers.0.1.0.attn.attn")
    for part, weight in zip("qkv", theirs.in_proj_weight.chunk(3), strict=True):
        layer = getattr(ours, part)
        assert torch.equal(getattr(layer, "conv", layer).weight, weight)
    # Its own file, too.
    own = tmp_path / "own.pth"
    torch.save(made.state_dict(), own)
    again = encoder(method, True, init_from=str(own)).eval()
    assert all(v.equal(made.state_dict()[k]) for k, v in again.state_dict().items())


def test_attention_of_another_width_is_refused(tmp_path):
    whole = encoder("fp", False)
    state = whole.network.state_dict()
    key = "layers.0.1.0.attn.attn.in_proj_weight"
    state[key] = state[key][:-1]
    torch.save(state, tmp_path / "weights.pth")
    with pytest.raises(CheckpointError, match=r"attn\.q\.weight"):
        encoder("bireal", True, pretrained=str(tmp_path / "weights.pth"))


def test_networks_without_attention_of_torch_are_refused():
    with pytest.raises(ValueError, match=r"holds no nn\.MultiheadAttention"):
        BinarizedEncoder("torchvision/mobilenet_v2", unpack_attention=True)
