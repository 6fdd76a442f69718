"""What every addition promises, on top of every method."""

from __future__ import annotations

import copy
import importlib

import pytest
import torch
from torch import Tensor, nn

from cmim.contrast import binarizer_names
from cmim.encoders import BinaryResNet
from cmim.encoders.pretrained import load_latent_weights
from cmim.methods import (
    ActivationBinarizer,
    TwoLevelActivation,
    available_additions,
    available_methods,
    get_method,
)

BINARIZERS = ["bidense_binarizer", "unbalanced"]
CHAINS = [[name] for name in BINARIZERS] + [BINARIZERS, BINARIZERS[::-1]]
every_addition = pytest.mark.parametrize("addition", available_additions())
every_chain = pytest.mark.parametrize("additions", CHAINS, ids="+".join)
every_activation = pytest.mark.parametrize(
    "method", [n for n in available_methods() if get_method(n).activation]
)


def activation_of(method: str, additions: list[str]) -> ActivationBinarizer:
    """The changed binarizer, with learned values away from their start."""
    torch.manual_seed(0)
    make = get_method({"name": method, "additions": additions}).activation
    assert make is not None
    binarizer = make(4)
    for parameter in binarizer.parameters():
        nn.init.normal_(parameter, std=0.3)
    return binarizer


def sum_of_steps(binarizer: ActivationBinarizer, x: Tensor) -> Tensor:
    total = torch.zeros_like(x)
    for threshold, low, high in binarizer.steps(x):
        low, high = (torch.as_tensor(v, dtype=x.dtype) for v in (low, high))
        total = total + torch.where(x >= threshold, high, low)
    return total


def at_a_threshold(binarizer: ActivationBinarizer, x: Tensor) -> Tensor:
    """Where the order of roundings decides: shifting x or the threshold."""
    eps = 4 * torch.finfo(x.dtype).eps
    near = torch.zeros_like(x, dtype=torch.bool)
    for threshold, _, _ in binarizer.steps(x):
        near |= (x - threshold).abs() <= eps * (1 + x.abs())
    return near


def test_additions_are_no_methods():
    assert available_additions() == [
        "bidense_binarizer",
        "bidense_bypass",
        *["unbalanced"],
    ]
    assert not set(available_additions()) & set(available_methods())
    assert "additions" not in available_methods()


@every_addition
def test_module_cites_a_source_and_says_what_was_checked(addition):
    module = importlib.import_module(f"cmim.methods.additions.{addition}")
    assert "https://arxiv.org/abs/" in module.__doc__
    assert "\nChecked: " in module.__doc__
    assert module.ADDITION.__doc__


@every_addition
def test_name_and_papers_pile_up_and_the_method_is_left_alone(addition):
    plain = get_method("bireal")
    changed = get_method({"name": "bireal", "additions": [addition]})
    assert changed.name == f"bireal+{addition}"
    assert changed.paper.startswith(f"{plain.paper}; ")
    assert get_method("bireal").name == "bireal"
    assert get_method("bireal").bypass is None


@pytest.mark.parametrize("additions", ["unbalanced", {"name": "unbalanced"}])
def test_one_addition_needs_no_list(additions):
    options = {"name": "bireal", "magnitude_aware": True, "additions": additions}
    before = copy.deepcopy(options)
    method = get_method(options)
    assert method.name == "bireal+unbalanced"
    assert method.weight((1, 1, 1, 1)).magnitude_aware
    assert options == before


def test_unknown_addition_and_option_are_one_sentence_with_what_exists():
    known = ", ".join(available_additions())
    with pytest.raises(ValueError, match="addition") as error:
        get_method({"name": "bireal", "additions": ["unbalance"]})
    assert str(error.value) == f"addition 'unbalance' is unknown; choose from {known}"
    with pytest.raises(ValueError, match="addition") as error:
        get_method({"name": "bireal", "additions": [{"name": "unbalanced", "tau": 1}]})
    assert str(error.value) == (
        "addition 'unbalanced' has no option 'tau'; it accepts threshold"
    )
    with pytest.raises(ValueError, match="addition None is unknown"):
        get_method({"name": "bireal", "additions": [{"threshold": 1}]})


@pytest.mark.parametrize("addition", BINARIZERS)
@pytest.mark.parametrize("method", ["fp", "binary_connect"])
def test_real_activations_are_refused(addition, method):
    with pytest.raises(ValueError, match="keeps its activations real") as error:
        get_method({"name": method, "additions": [addition]})
    assert f"'{method}'" in str(error.value)
    assert f"'{addition}'" in str(error.value)


@every_chain
@every_activation
@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str
)
def test_codes_are_the_sum_of_the_steps(method, additions, dtype):
    binarizer = activation_of(method, additions).to(dtype).eval()
    plain = get_method(method).activation(4).static
    assert binarizer.static == (plain and "bidense_binarizer" not in additions)
    for shape in [(2, 4), (2, 4, 5), (3, 4, 5, 3)]:
        x = torch.randn(shape).to(dtype)
        codes = binarizer(x)
        assert codes.shape == x.shape
        assert codes.dtype == dtype
        assert not any(t.requires_grad for s in binarizer.steps(x) for t in s[:1])
        clear = ~at_a_threshold(binarizer, x)
        assert clear.float().mean() > 0.8
        expected = sum_of_steps(binarizer, x)
        torch.testing.assert_close(codes[clear], expected[clear])


@every_chain
@every_activation
def test_gradient_reaches_activations_and_all_that_is_learned(method, additions):
    binarizer = activation_of(method, additions)
    x = torch.randn(2, 4, 9, 9, requires_grad=True)
    binarizer(x).backward(torch.randn(x.shape))
    for name, tensor in [("input", x), *binarizer.named_parameters()]:
        assert tensor.grad is not None, name
        assert tensor.grad.isfinite().all(), name
        assert tensor.grad.abs().sum() > 0, name


@every_chain
@every_activation
def test_nan_is_not_hidden_behind_a_code(method, additions):
    x = torch.randn(1, 4, 3, 3)
    x[0, 1, 2, 2] = torch.nan
    assert activation_of(method, additions)(x)[0, 1, 2, 2].isnan()


@every_chain
@every_activation
def test_state_round_trips(method, additions):
    trained = activation_of(method, additions)
    fresh = get_method({"name": method, "additions": additions}).activation(4)
    fresh.load_state_dict(trained.state_dict())
    x = torch.randn(2, 4, 5, 5)
    assert torch.equal(fresh(x), trained(x))
    assert torch.equal(copy.deepcopy(trained)(x), trained(x))
    assert isinstance(fresh, TwoLevelActivation) == (
        additions == ["unbalanced"]
        and isinstance(get_method(method).activation(4), TwoLevelActivation)
    )


@every_activation
def test_encoder_with_all_additions_trains_and_loads_a_plain_file(method, tmp_path):
    torch.manual_seed(0)
    plain = BinaryResNet(method="fp", base_channels=4)
    torch.save(plain.state_dict(), tmp_path / "plain.pth")
    method = {"name": method, "additions": available_additions()}
    encoder = BinaryResNet(method=method, base_channels=4)
    load_latent_weights(encoder, tmp_path / "plain.pth")
    assert torch.equal(encoder.layer2[0].conv1.weight, plain.layer2[0].conv1.weight)
    features = encoder(torch.randn(2, 3, 33, 48))
    shapes = [f.shape for f in plain(torch.randn(2, 3, 33, 48))]
    assert [f.shape for f in features] == shapes
    features[-1].square().mean().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_only_the_outer_binarizer_is_tapped():
    method = {"name": "reactnet", "additions": BINARIZERS}
    changed = BinaryResNet(method=method, base_channels=4)
    plain = BinaryResNet(method="reactnet", base_channels=4)
    assert binarizer_names(changed) == binarizer_names(plain)
    assert len(binarizer_names(plain)) == 16
