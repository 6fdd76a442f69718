"""Layers that training computes in full precision or with real weights for a while."""

from __future__ import annotations

import pytest
import torch
from convert_cases import Chain, Small, pictures
from torch import nn

from cmim.convert import ConvertedLayer, Phase, convert, place_converted, unplaced
from cmim.convert.moments import balanced_threshold, by_channel
from cmim.methods import available_methods, get_method

X = pictures(4, 3, 12, 14)
METHODS = [name for name in available_methods() if get_method(name).is_binary]


def made(method: str, **options) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    network = Small(**options)
    keep = ["grouped"] if get_method(method).output_scale is not None else []
    binary, _ = convert(network, method, keep=keep, example=X)
    return network.train(), binary.train()


def layers(network: nn.Module) -> dict[str, ConvertedLayer]:
    return {n: m for n, m in network.named_modules() if isinstance(m, ConvertedLayer)}


@pytest.mark.parametrize("method", METHODS)
def test_latent_layers_train_the_full_precision_network(method):
    network, binary = made(method)
    for layer in layers(binary).values():
        layer.set_phase(Phase.LATENT)
    ours, theirs = binary(X), network(X)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    ours.square().sum().backward()
    theirs.square().sum().backward()
    for name, layer in layers(binary).items():
        weight = network.get_submodule(name).weight
        torch.testing.assert_close(
            layer.conv.weight.grad, weight.grad, atol=1e-4, rtol=1e-4
        )
    assert set(unplaced(binary)) == set(layers(binary))


def test_evaluation_is_binary_in_every_phase():
    _, binary = made("reactnet")
    place_converted(binary, lambda: binary(X))
    expected = binary.eval()(X)
    for phase in Phase:
        for layer in layers(binary).values():
            layer.set_phase(phase)
        assert torch.equal(binary(X), expected), phase


def test_only_layers_that_do_not_wait_are_placed():
    """Behind the waiting ones they see what the full-precision network gives."""
    torch.manual_seed(0)
    network = Chain(4)
    binary, _ = convert(network, "bireal", example=X)
    binary.train()
    binary[2].set_phase(Phase.LATENT)
    assert place_converted(binary, lambda: binary(X)) == ["4"]
    assert set(unplaced(binary)) == {"2"}
    given = nn.Sequential(*list(network)[:4])(X)
    expected = balanced_threshold(by_channel(given, tokens=False))
    torch.testing.assert_close(binary[4].binarize.threshold(), expected)
    binary[2].set_phase(Phase.BINARY)
    assert place_converted(binary, lambda: binary(X)) == ["2"]
    assert not unplaced(binary)


@pytest.mark.parametrize("name", ["conv", "hidden"])
@pytest.mark.parametrize("method", ["bireal", "reactnet", "dorefa", "hwgq"])
@torch.no_grad()
def test_real_weights_multiply_codes(name, method):
    network, binary = made(method)
    for layer in layers(binary).values():
        layer.set_phase(Phase.REAL_WEIGHTS)
    place_converted(binary, lambda: binary(X))
    layer, theirs = binary.get_submodule(name), network.get_submodule(name)
    seen = []
    layer.register_forward_hook(lambda m, args, out: seen.append((args[0], out)))
    binary(X)
    ((x, out),) = seen
    codes = layer.binarize(x)
    bias = 0 if theirs.bias is None else layer.per_channel(theirs.bias)
    product = theirs(codes) - bias
    expected = product * layer.per_channel(layer.gain) + layer.per_channel(layer.bias)
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_layers_of_real_weights_are_placed_with_them():
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 6, 3)
    binary, _ = convert(layer, "reactnet", binarize="*", example=X)
    binary.train().set_phase(Phase.REAL_WEIGHTS)
    ours, theirs = binary(X), layer(X)
    for found, expected in zip(
        torch.std_mean(ours, (0, 2, 3)), torch.std_mean(theirs, (0, 2, 3)), strict=True
    ):
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_weights_that_become_binary_keep_means_and_deviations():
    layer = nn.Conv2d(3, 6, 3)
    binary, _ = convert(layer, "reactnet", binarize="*", example=X)
    binary.train().set_phase(Phase.REAL_WEIGHTS)
    binary(X)
    binary.gain.mul_(1.5)
    binary.bias.add_(0.25)
    before = binary(2 * X)
    binary.set_phase(Phase.BINARY, keep_output=True)
    threshold = binary.binarize.threshold().clone()
    after = binary(2 * X)
    for ours, theirs in zip(
        torch.std_mean(after, (0, 2, 3)), torch.std_mean(before, (0, 2, 3)), strict=True
    ):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)
    assert not torch.equal(before, after)
    assert torch.equal(binary.binarize.threshold(), threshold)
    # Once: another batch changes nothing.
    gain = binary.gain.clone()
    binary(5 * X)
    assert torch.equal(binary.gain, gain)


def test_a_former_non_linearity_belongs_to_the_latent_layer():
    torch.manual_seed(0)
    network = Chain(3)
    binary, _ = convert(network, "bireal", example=X, relu="drop")
    for layer in layers(binary).values():
        layer.set_phase(Phase.LATENT)
    torch.testing.assert_close(binary.train()(X), network(X))
