"""Taps find binarizers, read both sides of them and leave no hook behind."""

from __future__ import annotations

import pickle

import pytest
import torch
from torch import Tensor, nn

from cmim.contrast.taps import ActivationTaps, Tap, binarizer_names
from cmim.encoders import BinaryResNet
from cmim.methods import ActivationBinarizer


def make_encoder(method: str = "bireal") -> BinaryResNet:
    torch.manual_seed(0)
    return BinaryResNet(method=method, base_channels=4).eval()


def images() -> Tensor:
    return torch.randn(2, 3, 33, 47, generator=torch.Generator().manual_seed(1))


def count_hooks(model: nn.Module) -> int:
    return sum(len(m._forward_hooks) for m in model.modules())


def test_binarizer_names_are_all_binarizers_in_order():
    encoder = make_encoder()
    names = binarizer_names(encoder)
    blocks = [f"layer{i}.{j}" for i in (1, 2, 3, 4) for j in (0, 1)]
    assert names == [f"{b}.binarize{k}" for b in blocks for k in (1, 2)]
    for name in names:
        assert isinstance(encoder.get_submodule(name), ActivationBinarizer)


def test_full_precision_network_has_no_binarizer():
    assert binarizer_names(make_encoder("fp")) == []


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["layer4.1.binarize2"], ["layer4.1.binarize2"]),
        (["layer4.*.binarize2"], ["layer4.0.binarize2", "layer4.1.binarize2"]),
        (["layer[34]"], ["layer3", "layer4"]),
        (["layer4", "layer3"], ["layer4", "layer3"]),
        (["layer3", "layer[34]"], ["layer3", "layer4"]),
        (["*.0.conv1"], [f"layer{i}.0.conv1" for i in (1, 2, 3, 4)]),
        ([], []),
    ],
    ids=str,
)
def test_patterns_select_modules_once_in_the_order_given(patterns, expected):
    assert ActivationTaps(make_encoder(), patterns).names == expected


@pytest.mark.parametrize("pattern", ["layer5", "Layer4", "", "binarize2"])
def test_a_pattern_without_a_match_is_named_with_examples(pattern):
    message = f"taps pattern {pattern!r} matches no module of the model; modules are"
    with pytest.raises(ValueError, match=message) as error:
        ActivationTaps(make_encoder(), ["layer4", pattern])
    assert "layer1.0" in str(error.value)


def test_the_model_itself_is_never_tapped():
    names = ActivationTaps(make_encoder(), ["*"]).names
    assert "" not in names
    assert "layer4.1.binarize2" in names


@torch.no_grad()
def test_taps_hold_input_and_output_of_each_module():
    encoder = make_encoder()
    names = ["layer2", "layer2.1.binarize2", "layer4.1.binarize2"]
    taps = ActivationTaps(encoder, names)
    with taps.recording() as seen:
        features = encoder(images())
    assert set(seen) == set(names)
    assert torch.equal(seen["layer2"].full_precision, features[0])
    assert torch.equal(seen["layer2"].binary, features[1])
    tap = seen["layer4.1.binarize2"]
    assert tap.full_precision.shape == tap.binary.shape == (2, 32, 2, 2)
    assert torch.equal(tap.binary, (tap.full_precision >= 0) * 2.0 - 1)


def test_gradients_flow_into_the_tapped_activations():
    encoder = make_encoder()
    with ActivationTaps(encoder, ["layer4.1.binarize2"]).recording() as seen:
        encoder(images())
    seen["layer4.1.binarize2"].binary.sum().backward()
    assert encoder.get_parameter("layer4.0.conv1.weight").grad.abs().sum() > 0


@torch.no_grad()
def test_only_the_last_pass_is_kept_and_blocks_do_not_share():
    net = nn.Sequential(nn.ReLU())
    taps = ActivationTaps(net, ["0"])
    with taps.recording() as first:
        net(torch.tensor([1.0]))
        net(torch.tensor([2.0]))
    with taps.recording() as second:
        pass
    assert first == {"0": Tap(torch.tensor([2.0]), torch.tensor([2.0]))}
    assert second == {}


@torch.no_grad()
def test_recording_changes_no_output():
    encoder = make_encoder()
    expected = encoder(images())
    with ActivationTaps(encoder, ["*"]).recording():
        recorded = encoder(images())
    assert all(map(torch.equal, recorded, expected))


def test_no_hook_is_left_after_recording():
    encoder = make_encoder()
    taps = ActivationTaps(encoder, ["layer*"])
    assert count_hooks(encoder) == 0
    with taps.recording() as seen:
        assert count_hooks(encoder) == len(taps.names) > 0
    assert count_hooks(encoder) == 0
    encoder(images())
    assert seen == {}


def test_no_hook_is_left_after_an_exception():
    encoder = make_encoder()
    taps = ActivationTaps(encoder, ["layer*"])
    with pytest.raises(RuntimeError, match="expected input"), taps.recording():
        encoder(torch.zeros(1, 5, 8, 8))
    assert count_hooks(encoder) == 0


def test_hooks_of_others_stay():
    net = nn.Sequential(nn.ReLU())
    calls: list[int] = []
    net[0].register_forward_hook(lambda *_: calls.append(1))
    with ActivationTaps(net, ["0"]).recording():
        net(torch.zeros(1))
    net(torch.zeros(1))
    assert len(calls) == 2


def test_a_tapped_model_pickles_as_before():
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    before = pickle.dumps(net)
    with ActivationTaps(net, ["1"]).recording():
        net(torch.zeros(1, 2))
    assert len(pickle.dumps(net)) == len(before)
