"""Frozen stages, batch-norms that stay, and activations that are computed again."""

from __future__ import annotations

import copy

import pytest
import torch
from matrix import FULL, few_first
from test_every_encoder import ENCODERS, images, make
from torch import Tensor, nn

from cmim.encoders.encoder import BinaryEncoder
from cmim.encoders.recomputed import recomputed
from cmim.methods import available_methods, take_auxiliary_losses

QUICK = ("resnet18", "mobilenet_v2", "mit_b0", "vgg_small")
every_encoder = pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in QUICK else FULL) for n in ENCODERS]
)


def trained_behind(encoder: BinaryEncoder, start: int) -> set[str]:
    """Parameters that stages from ``start`` on read, by their gradients."""
    x = encoder.stem(images(2, 3, 33, 40))
    for index in range(len(encoder.stages)):
        x = encoder.run_stage(index, x.detach() if index == start else x)
    x.square().sum().backward()
    return {n for n, p in encoder.named_parameters() if p.grad is not None}


def statistics(encoder: nn.Module) -> dict[str, Tensor]:
    return {
        name: value.clone()
        for name, value in encoder.named_buffers()
        if "running_" in name
    }


@every_encoder
@pytest.mark.parametrize("frozen", [-1, 0, 1, 2])
def test_what_is_frozen_stays_and_all_else_is_trained(name, frozen):
    encoder = make(name, frozen_stages=frozen).train()
    trained = {n for n, p in encoder.named_parameters() if p.requires_grad}
    if frozen < 0:
        assert trained == set(dict(encoder.named_parameters()))
    else:
        assert trained == trained_behind(make(name), frozen)
        # A MiT has no stem.
        none = frozen == 0 and name == "mit_b0"
        assert (len(trained) < len(list(encoder.parameters()))) != none
    before = statistics(encoder)
    features = encoder(images(2, 3, 33, 40))
    moved = {n for n, v in statistics(encoder).items() if not v.equal(before[n])}
    norms = {n.rpartition(".")[0] for n in moved}
    # A batch-norm measures exactly where its factors are trained.
    assert norms == {
        n
        for n, m in encoder.named_modules()
        if isinstance(m, nn.modules.batchnorm._BatchNorm)
        # One without factors stands in a stem.
        and (f"{n}.weight" in trained if m.affine else frozen < 0)
    }
    assert [f.requires_grad for f in features[: max(frozen, 0)]] == [False] * max(
        frozen, 0
    )
    assert features[-1].requires_grad


@every_encoder
def test_norm_eval_keeps_statistics_and_trains_factors(name):
    encoder = make(name, norm_eval=True)
    for mode in (False, True):
        encoder.train(mode)
    before = statistics(encoder)
    encoder(images(2, 3, 33, 40))[-1].square().sum().backward()
    assert all(v.equal(before[n]) for n, v in statistics(encoder).items())
    for key, parameter in encoder.named_parameters():
        assert parameter.grad is not None, key


def step(encoder: BinaryEncoder) -> dict[str, Tensor]:
    """Two passes there and back: outputs, gradients and buffers."""
    found = {}
    for time in range(2):
        torch.manual_seed(time)
        features = encoder(images(2, 3, 33, 40))
        auxiliary = take_auxiliary_losses(encoder)
        loss = sum(f.square().mean() for f in features) + sum(auxiliary.values())
        loss.backward()
        found[f"loss {time}"] = loss.detach()
    found |= {n: p.grad for n, p in encoder.named_parameters()}
    found |= dict(encoder.named_buffers())
    return found


def assert_equal_bits(first: BinaryEncoder, second: BinaryEncoder) -> None:
    expected, found = step(first), step(second)
    assert found.keys() == expected.keys()
    different = [n for n, v in expected.items() if not torch.equal(found[n], v)]
    assert not different
    # Nothing of the second pass is left for the next step.
    assert not take_auxiliary_losses(second)


def both(name: str, method: str, **options) -> tuple[BinaryEncoder, BinaryEncoder]:
    encoder = make(name, method, **options)
    again = copy.deepcopy(encoder)
    again._recompute = True
    return encoder.train(), again.train()


@every_encoder
def test_recomputed_stages_give_the_same_bits(name):
    assert_equal_bits(*both(name, "bireal"))


@pytest.mark.parametrize("method", few_first(available_methods(), "xnor_net", "bonn"))
def test_recomputed_stages_give_the_same_bits_of_every_method(method):
    assert_equal_bits(*both("resnet20", method))


def test_the_option_is_what_the_tests_set():
    assert make("resnet18", recompute_stages=True)._recompute
    assert not make("resnet18")._recompute


def test_a_loss_may_go_back_twice():
    plain, again = both("resnet20", "bireal")
    grads = []
    for encoder in (plain, again):
        loss = encoder(images(2, 3, 33, 40))[-1].square().sum()
        loss.backward(retain_graph=True)
        loss.backward()
        grads.append([p.grad for p in encoder.parameters()])
    assert all(map(torch.equal, *grads))


def kept_bytes(encoder: BinaryEncoder) -> int:
    """Bytes that a forward pass keeps for the backward pass, each storage once."""
    storages = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    parameters = {p.untyped_storage().data_ptr() for p in encoder.parameters()}
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        features = encoder(images(2, 3, 64, 64))
    assert features[-1].requires_grad
    return sum(n for place, n in storages.items() if place not in parameters)


def test_less_is_kept_for_the_backward_pass():
    plain, again = both("resnet18", "bireal", base_channels=16)
    assert kept_bytes(again) < 0.4 * kept_bytes(plain)


def test_dropout_is_drawn_again_alike():
    drop = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5))
    grads = []
    for run in (lambda x: drop(x), lambda x: recomputed(drop, drop, x)):
        torch.manual_seed(0)
        x = torch.ones(4, 8, requires_grad=True)
        run(x).sum().backward()
        grads.append(x.grad)
    assert torch.equal(*grads)


@pytest.mark.parametrize("frozen", [-2, 5])
def test_stages_that_do_not_exist_are_not_frozen(frozen):
    said = (
        rf"frozen_stages {frozen}: choose from -1 \(none\), 0 \(the stem\) and 1 to 4"
    )
    with pytest.raises(ValueError, match=said):
        make("resnet18", frozen_stages=frozen)
