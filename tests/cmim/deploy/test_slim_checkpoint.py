"""Binary weights as bits: what is read back is what was written, for every method."""

from __future__ import annotations

import pytest
import torch
from network_cases import make
from torch import nn

from cmim.checkpoint import CheckpointError, read_checkpoint
from cmim.deploy.binary_layer import ExportError, read_layer
from cmim.deploy.slim_checkpoint import (
    binary_layers,
    digest_of,
    load_weights,
    save_slim,
    slim_content,
)
from cmim.layers import BinaryConv2d, BinaryConvTranspose2d, BinaryLinear
from cmim.layers.stored_weight import StoredWeight, store_bits, use_stored_bits
from cmim.methods import available_methods, get_method
from cmim.methods.binarizer import WeightBinarizer

OPTIONS = [
    *(dict(name="dorefa", weight_bits=bits) for bits in (2, 3, 8)),
    dict(name="abc_net", weight_bases=5),
    dict(name="abc_net", granularity="layer"),
    dict(name="adabin", levels="paper"),
    dict(name="rebnn", form="released"),
    "bireal+unbalanced",
]
METHODS = [
    method
    for method in [*available_methods(), *OPTIONS]
    if get_method(method).weight is not None
]
LAYERS = {
    "conv": lambda m: BinaryConv2d(5, 7, 3, method=m, padding=1),
    "groups": lambda m: BinaryConv2d(6, 9, 3, method=m, groups=3),
    "depthwise": lambda m: BinaryConv2d(6, 6, 3, method=m, groups=6),
    "rectangle": lambda m: BinaryConv2d(5, 7, (1, 3), method=m),
    "linear": lambda m: BinaryLinear(11, 7, method=m),
    "transposed": lambda m: BinaryConvTranspose2d(5, 7, 2, method=m, stride=2),
}


def layer_of(kind: str, method, seed: int = 0) -> nn.Module:
    """With weights of which some are exactly zero."""
    torch.manual_seed(seed)
    layer = LAYERS[kind](method).eval()
    layer.weight.data.flatten()[::4] = 0
    return layer


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("method", METHODS, ids=str)
@torch.no_grad()
def test_a_layer_gives_the_same_to_the_last_bit(kind, method):
    layer, other = layer_of(kind, method), layer_of(kind, method, seed=1)
    wanted, terms = layer.binary_weight().clone(), layer.terms()
    stored = store_bits(layer)
    use_stored_bits(other, stored)
    assert torch.equal(other.binary_weight(), wanted)
    shape = (2, 11) if kind == "linear" else (2, layer.in_channels, 6, 6)
    x = torch.randn(shape).sign()
    assert torch.equal(other(x), layer(x))
    assert len(other.terms()) == len(terms)
    for (scale, codes), (expected, signs) in zip(other.terms(), terms, strict=True):
        assert torch.equal(scale, expected.expand(len(scale), 1, 1, 1))
        assert torch.equal(codes, signs)
    assert len(other.code_terms()) == len(layer.code_terms())
    # One bit a weight and code, up to the last byte.
    assert stored.bits.numel() == len(stored.bits) * -(-wanted.numel() // 8)
    assert set(other.state_dict()) == {"weight"}


def test_a_zero_is_plus_one():
    layer = layer_of("conv", "bireal")
    layer.weight.data.zero_()
    layer.weight.data[0, 0, 0, 0] = -0.0
    assert (store_bits(layer).code_flags() == 1).all()


def test_only_rounded_sums_need_a_table():
    tables = {
        str(method): store_bits(layer_of("conv", method)).values for method in METHODS
    }
    assert {name for name, table in tables.items() if table is not None} == {
        str(dict(name="dorefa", weight_bits=bits)) for bits in (2, 3, 8)
    }
    # All filters share their levels.
    assert tables[str(OPTIONS[0])].shape == (1, 4)


class Unstored(WeightBinarizer):
    """A binarizer whose weights are no function of its codes."""

    def forward(self, weight):
        return weight * 2

    def terms(self, weight):
        return [(torch.ones(len(weight), 1, 1, 1), weight.sign())]


def test_what_bits_do_not_give_back_is_refused_by_name():
    net = nn.Sequential(BinaryConv2d(3, 4, 1, Unstored()))
    with pytest.raises(ExportError, match=r"^0: weights of equal codes differ within"):
        slim_content(net.eval(), {})


def saved(tmp_path, method="reactnet", encoder="vgg_small"):
    network, path = make(encoder, method), tmp_path / "slim.pth"
    save_slim(network, path, dict(classes=["a"]))
    return network, path


@pytest.mark.parametrize("method", ["reactnet", "abc_net", "adabin", "rbnn"])
@torch.no_grad()
def test_a_network_gives_the_same_to_the_last_bit(method, tmp_path):
    network, path = saved(tmp_path, method)
    torch.manual_seed(1)
    other = make("vgg_small", method)
    for value in other.state_dict().values():
        value.copy_(torch.zeros_like(value))
    content = load_weights(other, path)
    assert content["identity"] == dict(classes=["a"])
    x = torch.randn(2, 3, 32, 32)
    for ours, expected in zip(other(x), network(x), strict=True):
        assert torch.equal(ours, expected)
    assert all(
        isinstance(layer.weight_binarizer, StoredWeight)
        for layer in binary_layers(other).values()
    )
    latent = tmp_path / "latent.pth"
    torch.save(dict(state_dict=network.state_dict()), latent)
    assert path.stat().st_size < latent.stat().st_size


def test_export_reads_the_same_layers(tmp_path):
    network, path = saved(tmp_path)
    other = make("vgg_small", "reactnet")
    load_weights(other, path)
    binarizer = get_method("reactnet").activation(8).eval()
    name = "layer1.unit1.conv"
    ours, expected = (
        read_layer(name, net.get_submodule(name), binarizer) for net in (other, network)
    )
    assert (ours.terms[0].signs == expected.terms[0].signs).all()
    assert (ours.terms[0].scale == expected.terms[0].scale).all()


def test_a_network_in_full_precision_has_no_bits(tmp_path):
    network, path = saved(tmp_path, "fp")
    other = make("vgg_small", "fp")
    load_weights(other, path)
    assert read_checkpoint(path)["state_dict"].keys() == network.state_dict().keys()


def test_nothing_is_trained_from_it(tmp_path):
    _, path = saved(tmp_path)
    with pytest.raises(CheckpointError, match="no latent weights: it can be tested, "):
        read_checkpoint(path)


def first(content, key):
    return next(iter(content["binary_weights"].values()))[key]


def lose_a_layer(content):
    content["binary_weights"].pop(next(iter(content["binary_weights"])))


FAULTS = {
    "a bit": (lambda c: first(c, "bits").bitwise_xor_(1), "by its digest", False),
    "a mean": (lambda c: c["state_dict"]["bn1.running_mean"].add_(1), "digest", False),
    "no digest": (lambda c: c.pop("sha256"), "by its digest", False),
    "a list": (lambda c: c.update(binary_weights=[1]), "no table of bits", True),
    "an entry": (lambda c: c["binary_weights"].update(x=3), "'x' is a binary", True),
    "no layer": (lose_a_layer, "is a binary layer of this config alone", True),
    "NaN": (lambda c: first(c, "scales").fill_(torch.nan), "holds NaN or Inf", True),
    "bits too few": (
        lambda c: next(iter(c["binary_weights"].values())).update(
            bits=first(c, "bits")[:, :-1].clone()
        ),
        "bits or scales of another number",
        True,
    ),
    "scales of doubles": (
        lambda c: next(iter(c["binary_weights"].values())).update(
            scales=first(c, "scales").double()
        ),
        "bits or scales of another number",
        True,
    ),
    "a table too small": (
        lambda c: next(iter(c["binary_weights"].values())).update(
            values=torch.zeros(1, 1)
        ),
        "bits or scales of another number",
        True,
    ),
    "other structure": (
        lambda c: c["structure"].update({"bn1": "Identity"}),
        "'bn1' is Identity there",
        True,
    ),
    "other classes": (lambda c: c.update(identity=3), "'identity' is a int", True),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_file_with_a_fault_is_refused(name, tmp_path):
    _, path = saved(tmp_path)
    change, words, sealed = FAULTS[name]
    content = torch.load(path, weights_only=True)
    change(content)
    if sealed:
        content["sha256"] = digest_of(content)
    torch.save(content, path)
    other = make("vgg_small", "reactnet")
    with pytest.raises(CheckpointError, match=words):
        load_weights(other, path)


def test_another_method_is_refused(tmp_path):
    _, path = saved(tmp_path)
    with pytest.raises(CheckpointError, match="of another model"):
        load_weights(make("vgg_small", "bireal"), path)
