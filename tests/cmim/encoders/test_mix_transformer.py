"""The transformer: mmseg's in full precision, its weights, attention, cost, taps."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmseg.models import MixVisionTransformer
from torch import Tensor, nn

from cmim.analysis.cost import layer_costs, totals
from cmim.checkpoint import CheckpointError
from cmim.contrast import ActivationTaps, binarizer_names
from cmim.encoders import BinarizedEncoder, BinaryMixTransformer
from cmim.layers import ATTENTIONS, AttentionProducts, BinaryLinear
from cmim.methods import available_methods
from cmim.stages import stages_of

OPTIONS = dict(
    embed_dims=32,
    num_layers=(2, 2, 2, 2),
    num_heads=(1, 2, 5, 8),
    patch_sizes=(7, 3, 3, 3),
    sr_ratios=(8, 4, 2, 1),
    mlp_ratio=4,
    qkv_bias=True,
)


@pytest.fixture(scope="module")
def theirs() -> MixVisionTransformer:
    """MiT-B0 of mmseg with numbers everywhere, where zeros would hide a mistake."""
    torch.manual_seed(0)
    network = MixVisionTransformer(**OPTIONS)
    network.init_weights()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.05)
    return network


@pytest.fixture(scope="module")
def file(theirs, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("mit") / "mit_b0.pth"
    torch.save(theirs.state_dict(), path)
    return path


def make(method="reactnet", init_from: Path | None = None, **options):
    torch.manual_seed(0)
    name = None if init_from is None else str(init_from)
    encoder = BinaryMixTransformer(method=method, init_from=name, **options)
    encoder.init_weights()
    return encoder


def images(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("size", [(2, 3, 96, 128), (1, 3, 70, 90)])
@pytest.mark.parametrize(
    ("dtype", "rounding"), [(torch.float32, 1e-5), (torch.float64, 1e-13)]
)
@torch.no_grad()
def test_full_precision_is_mmsegs(theirs, file, size, dtype, rounding):
    # On some processors equal to the last bit. torch makes keys and values in one
    # product, whose sums others order otherwise than those of two.
    x = images(*size).to(dtype)
    twin = make("fp", file).to(dtype)
    theirs.to(dtype)
    for training in (True, False):
        expected = theirs.train(training)(x)
        found = twin.train(training)(x)
        assert len(found) == len(expected) == 4
        for a, b in zip(found, expected, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=rounding)
    theirs.float()


@torch.no_grad()
def test_mmsegs_weights_are_split_and_named(theirs, file):
    encoder = make("bireal", file)
    block, ours = theirs.layers[1][1][0], encoder.layers[1][1][0]
    q, k, v = block.attn.attn.in_proj_weight.chunk(3)
    assert torch.equal(ours.attn.q.layer.weight, q)
    assert torch.equal(ours.attn.k.layer.weight, k)
    assert torch.equal(ours.attn.v.layer.weight, v)
    assert torch.equal(ours.attn.k.bias, block.attn.attn.in_proj_bias.chunk(3)[1])
    assert torch.equal(ours.attn.proj.bias, block.attn.attn.out_proj.bias)
    assert torch.equal(ours.attn.sr.layer.weight, block.attn.sr.weight)
    assert torch.equal(ours.ffn.depthwise.weight, block.ffn.layers[1].weight)
    assert torch.equal(ours.ffn.fc2.layer.weight, block.ffn.layers[4].weight)
    assert isinstance(ours.attn.q.layer, BinaryLinear)


@torch.no_grad()
def test_checkpoints_of_the_converted_network_load_too(tmp_path):
    torch.manual_seed(3)
    converted = BinarizedEncoder(
        "mmseg/MixVisionTransformer", method="fp", network_options=OPTIONS
    )
    state = {f"backbone.{key}": v for key, v in converted.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "epoch.pth")
    x = images(1, 3, 64, 64)
    found = make("fp", tmp_path / "epoch.pth").eval()(x)
    expected = converted.eval()(x)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_other_files_are_refused_in_a_sentence(theirs, tmp_path):
    path = tmp_path / "cut.pth"
    state = theirs.state_dict()
    torch.save({k: v for k, v in state.items() if "in_proj_bias" not in k}, path)
    with pytest.raises(CheckpointError, match="accepted are checkpoints of mmseg's"):
        make("bireal", path)


@pytest.mark.full
@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("shortcuts", ["per_layer", "per_block"])
def test_every_attention_learns(attention, shortcuts):
    encoder = make(attention=attention, shortcuts=shortcuts, sr_ratios=(4, 2, 1, 1))
    features = encoder(images(2, 3, 48, 64))
    sum((f * images(*f.shape)).sum() for f in features).backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize(
    ("attention", "scores", "contexts"),
    [
        ("real", None, None),
        ("scores", {-1, 1}, None),
        ("binaryvit", {-1, 1}, 1),
        ("bhvit", {-1, 1}, 3),
    ],
)
@torch.no_grad()
def test_products_see_codes(attention, scores, contexts):
    encoder = make("bireal", attention=attention, base_channels=8).eval()
    names = [n for n, m in encoder.named_modules() if isinstance(m, AttentionProducts)]
    seen: dict[str, tuple] = {}
    for name in names:
        encoder.get_submodule(name).register_forward_pre_hook(
            lambda module, args, name=name: seen.__setitem__(name, args)
        )
    encoder(images(2, 3, 64, 64))
    assert len(seen) == 8
    for name, given in seen.items():
        queries, keys, values = (set(x.unique().tolist()) for x in given)
        assert (queries == keys == {-1, 1}) == (scores is not None), name
        assert (values == {-1, 1}) == (contexts is not None), name
        assert encoder.get_submodule(name).planes == contexts


@pytest.mark.parametrize(
    ("attention", "binary", "real"),
    [("real", 0, 2), ("scores", 1, 1), ("binaryvit", 2, 0), ("bhvit", 4, 0)],
)
def test_products_cost_by_hand(attention, binary, real):
    encoder = make("bireal", attention=attention, base_channels=8)
    rows = layer_costs(encoder, images(1, 3, 64, 64))
    found = {row.name: row for row in rows}
    # 16 x 16 queries and 2 x 2 keys of 8 channels; 2 x 2 and 2 x 2 of 64.
    for name, macs in (("layers.0.1.0", 256 * 4 * 8), ("layers.3.1.1", 4 * 4 * 64)):
        row = found[f"{name}.attn.products"]
        assert (row.bops, row.flops) == (binary * macs, real * macs)
    # Its layers: 256 places, 8 to 8 channels, and 8 to 32 in a 1x1 convolution.
    assert found["layers.0.1.0.attn.q.layer"].bops == 256 * 8 * 8
    assert found["layers.0.1.0.ffn.fc1.layer"].bops == 256 * 8 * 32
    assert found["layers.0.1.0.attn.sr.layer"].bops == 4 * 64 * 8 * 8


@pytest.mark.parametrize("method", ["bireal", "abc_net"])
def test_the_binary_network_costs_less_than_its_twin(method):
    x = images(1, 3, 64, 64)
    ours = totals(layer_costs(make(method), x))
    twin = totals(layer_costs(make("fp"), x))
    assert twin["bops"] == 0
    assert ours["ops"] < twin["ops"]
    assert ours["memory_mbit"] < twin["memory_mbit"]


@torch.no_grad()
def test_tokens_are_tapped_on_the_grid_of_their_picture():
    encoder = make("bireal", base_channels=8).eval()
    names = [n for n in binarizer_names(encoder) if n.startswith("layers.1.1.0.attn.")]
    assert len(names) == 8  # four layers, the reduction, queries, keys and values
    with ActivationTaps(encoder, names).recording() as seen:
        encoder(images(1, 3, 64, 96))
    tap = seen["layers.1.1.0.attn.binarize_q"].on_grid((64, 96))
    assert tap.binary.shape == tap.full_precision.shape == (1, 16, 8, 12)
    assert set(tap.binary.unique().tolist()) == {-1, 1}


@pytest.mark.parametrize("attention", ATTENTIONS)
@torch.no_grad()
def test_the_twin_has_the_same_options_and_runs_what_is_tapped(attention):
    options = dict(attention=attention, shortcuts="per_layer", base_channels=4)
    names = binarizer_names(make("bireal", **options))
    twin = make("fp", **options)
    with ActivationTaps(twin, names).recording() as seen:
        twin(images(1, 3, 64, 64))
    assert set(seen) == set(names)
    assert all(torch.equal(t.binary, t.full_precision) for t in seen.values())


def test_stages_have_mmsegs_names():
    model = nn.ModuleDict({"backbone": make(out_indices=(1, 2))})
    assert [(s.name, s.channels, s.stride) for s in stages_of(model)] == [
        ("backbone.layers.0", 32, 4),
        ("backbone.layers.1", 64, 8),
        ("backbone.layers.2", 160, 16),
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"attention": "full"}, "attention 'full' is unknown; choose from real, "),
        ({"method": "twn", "attention": "scores"}, "attention 'scores' binarizes "),
        ({"shortcuts": "none"}, "shortcuts 'none' is unknown; choose from per_layer"),
        ({"depths": (2, 2)}, "depths (2, 2): give 4 numbers from 1 on"),
        ({"num_heads": (1, 2, 0, 8)}, "num_heads (1, 2, 0, 8): give 4 numbers"),
    ],
)
def test_wrong_options_are_one_sentence(options, said):
    with pytest.raises(ValueError, match=" ") as error:
        make(**options)
    assert str(error.value).startswith(said)


@pytest.mark.full
@pytest.mark.parametrize("method", available_methods())
def test_every_method_has_an_attention_of_its_own(method):
    encoder = make(method, base_channels=4, sr_ratios=(4, 2, 1, 1))
    (attention,) = {
        module.attention
        for module in encoder.modules()
        if isinstance(module, AttentionProducts)
    }
    binary = encoder.layers[0][1][0].attn.binarize_q
    assert (attention == "real") == isinstance(binary, nn.Identity)
    assert encoder(images(2, 3, 32, 32))[-1].isfinite().all()
