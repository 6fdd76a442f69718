"""What every registered method promises; a new method gets these tests for free."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from cmim.functional.sign import sign
from cmim.methods import (
    ActivationBinarizer,
    Method,
    ScaledSignWeight,
    Scheduled,
    TwoLevelActivation,
    WeightBinarizer,
    available_methods,
    get_method,
)

METHODS = [get_method(name) for name in available_methods()]
every_method = pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
every_weight = pytest.mark.parametrize(
    "method", [m for m in METHODS if m.weight], ids=lambda m: m.name
)
every_activation = pytest.mark.parametrize(
    "method", [m for m in METHODS if m.activation], ids=lambda m: m.name
)
FLOATS = [torch.float32, torch.float64, torch.bfloat16]
every_float = pytest.mark.parametrize("dtype", FLOATS, ids=str)


def latent_weights(dtype: torch.dtype = torch.float32) -> Tensor:
    """Five filters with zeros of both signs, +-1, and one far out of the window."""
    torch.manual_seed(0)
    weight = torch.randn(5, 3, 3, 2)
    weight[0, 0, :, 0] = torch.tensor([0.0, -0.0, 1.0])
    weight[1, 0, :, 0] = torch.tensor([-1.0, 2.5, -2.5])
    weight[4] *= 100
    return weight.to(dtype)


def activation_of(method: Method, channels: int) -> ActivationBinarizer:
    """The binarizer with learned values, if it has any, away from their start."""
    torch.manual_seed(0)
    assert method.activation is not None
    binarizer = method.activation(channels)
    for parameter in binarizer.parameters():
        nn.init.normal_(parameter, std=0.3)
    return binarizer


@every_method
def test_full_precision_part_is_named(method):
    assert method.full_precision
    assert method.checked
    assert method.is_binary == (method.name != "fp")


@every_method
def test_published_accuracy_is_a_percentage_of_a_binary_network(method):
    """The full-precision ResNet-18 has 69.76 %: one bit each has less."""
    if method.published is not None:
        assert method.is_binary
        assert 40 < method.published < 69.76


@every_method
def test_every_call_makes_new_modules(method):
    """Layers must not share learned thresholds."""
    makers = [lambda: method.nonlinearity(4)]
    if method.weight is not None:
        makers.append(lambda: method.weight((4, 2, 3, 3)))
    if method.activation is not None:
        makers.append(lambda: method.activation(4))
    for make in makers:
        assert isinstance(make(), nn.Module)
        assert make() is not make()


def weight_of(method: Method, dtype: torch.dtype = torch.float32) -> WeightBinarizer:
    torch.manual_seed(0)
    assert method.weight is not None
    return method.weight((5, 3, 3, 2)).to(dtype)


@every_weight
@every_float
def test_weight_is_exactly_the_sum_of_scale_times_sign(method, dtype):
    binarizer, weight = weight_of(method, dtype).eval(), latent_weights(dtype)
    binary, terms = binarizer(weight), binarizer.terms(weight)
    assert isinstance(binarizer, WeightBinarizer)
    assert binary.shape == weight.shape
    assert binary.dtype == dtype
    for k, (scale, codes) in enumerate(terms, start=1):
        assert codes.shape == weight.shape
        assert scale.shape == (5, 1, 1, 1)
        assert codes.dtype == scale.dtype == dtype
        is_offset = binarizer.offset and k == len(terms)
        assert codes.unique().tolist() == ([1.0] if is_offset else [-1.0, 1.0])
        assert not codes.requires_grad
        assert not scale.requires_grad
    assert len(binarizer.code_terms(weight)) == len(terms) - binarizer.offset
    total = sum(scale * codes for scale, codes in terms)
    if isinstance(binarizer, ScaledSignWeight):
        assert len(terms) == 1
        assert (terms[0][0] > 0).all()
        assert torch.equal(binary, total)
    else:
        torch.testing.assert_close(binary, total)


@every_weight
def test_gradient_reaches_latent_weights_and_what_the_method_learns(method):
    binarizer, weight = weight_of(method), latent_weights().requires_grad_()
    generator = torch.Generator().manual_seed(1)
    binarizer(weight).backward(torch.randn(weight.shape, generator=generator))
    for name, tensor in [("weight", weight), *binarizer.named_parameters()]:
        assert tensor.grad is not None, name
        assert tensor.grad.isfinite().all(), name
        assert tensor.grad.abs().sum() > 0, name


@every_weight
def test_nan_weights_are_not_hidden_behind_a_code(method):
    weight = latent_weights()
    weight[2, 1, 0, 0] = torch.nan
    assert weight_of(method)(weight)[2, 1, 0, 0].isnan()


@every_weight
def test_latent_weights_are_left_alone(method):
    weight = latent_weights()
    weight_of(method)(weight)
    assert torch.equal(weight, latent_weights())


def sum_of_steps(binarizer: ActivationBinarizer, x: Tensor) -> Tensor:
    total = torch.zeros_like(x)
    for threshold, low, high in binarizer.steps(x):
        low = torch.as_tensor(low, dtype=x.dtype)
        total = total + torch.where(x >= threshold, high, low)
    return total


@every_activation
@every_float
def test_codes_are_the_sum_of_the_steps_in_any_shape(method, dtype):
    binarizer = activation_of(method, 4).to(dtype).eval()
    assert isinstance(binarizer, ActivationBinarizer)
    for shape in [(2, 4), (2, 4, 5), (3, 4, 5, 3)]:
        x = torch.randn(shape).to(dtype)
        codes = binarizer(x)
        assert codes.shape == x.shape
        assert codes.dtype == dtype
        if isinstance(binarizer, TwoLevelActivation):
            assert tuple(codes.unique().tolist()) == binarizer.levels
        torch.testing.assert_close(codes, sum_of_steps(binarizer, x))


@every_activation
@pytest.mark.parametrize("progress", [0.0, 0.5, 1.0])
def test_training_sees_the_levels_only_or_says_otherwise(method, progress):
    binarizer = activation_of(method, 4).train()
    if not isinstance(binarizer, TwoLevelActivation) or binarizer.soft_training:
        pytest.skip("the convolution behind keeps its input whole")
    if isinstance(binarizer, Scheduled):
        binarizer.set_progress(progress)
    assert tuple(binarizer(torch.randn(2, 4, 9, 9)).unique().tolist()) == (
        binarizer.levels
    )


@every_activation
def test_code_is_the_upper_level_from_the_threshold_on(method):
    binarizer = activation_of(method, 4).eval()
    if not isinstance(binarizer, TwoLevelActivation):
        pytest.skip("several levels: their own tests")
    threshold = binarizer.threshold().detach()
    assert threshold.shape in [(), (4,)]
    cut = threshold.expand(4).view(1, 4, 1, 1)
    below = cut.nextafter(torch.full_like(cut, -torch.inf))
    low, high = binarizer.levels
    assert torch.equal(binarizer(cut), torch.full_like(cut, high))
    assert torch.equal(binarizer(below), torch.full_like(cut, low))
    x = torch.randn(2, 4, 9, 9)
    assert torch.equal(binarizer(x) == high, x >= cut)


@every_activation
def test_gradient_reaches_activations_and_learned_thresholds(method):
    binarizer, x = activation_of(method, 4), torch.randn(2, 4, 9, 9, requires_grad=True)
    binarizer(x).backward(torch.randn(x.shape))
    for name, tensor in [("input", x), *binarizer.named_parameters()]:
        assert tensor.grad is not None, name
        assert tensor.grad.isfinite().all(), name
        assert tensor.grad.abs().sum() > 0, name


@every_activation
def test_nan_is_not_hidden_behind_a_code(method):
    x = torch.randn(1, 4, 3, 3)
    x[0, 1, 2, 2] = torch.nan
    assert activation_of(method, 4)(x)[0, 1, 2, 2].isnan()


@every_method
def test_modules_survive_a_deep_copy_and_a_state_dict(method):
    modules = nn.ModuleList([method.nonlinearity(4)])
    fresh = nn.ModuleList([method.nonlinearity(4)])
    if method.activation is not None:
        modules.append(activation_of(method, 4))
        fresh.append(method.activation(4))
    fresh.load_state_dict(modules.state_dict())
    x = torch.randn(2, 4, 5, 5)
    for module, loaded in zip(modules, fresh, strict=True):
        assert torch.equal(loaded(x), module(x))
        assert torch.equal(copy.deepcopy(module)(x), module(x))


@every_method
def test_nonlinearity_keeps_shape_and_dtype(method):
    module = method.nonlinearity(4).double()
    x = torch.randn(2, 4, 5, 3, dtype=torch.float64)
    assert module(x).shape == x.shape
    assert module(x).dtype == x.dtype


@pytest.mark.parametrize("magnitude_aware", [False, True])
def test_bireal_gradients_follow_the_paper(magnitude_aware):
    method = get_method({"name": "bireal", "magnitude_aware": magnitude_aware})
    weight = latent_weights(torch.float64).requires_grad_()
    upstream = torch.randn(weight.shape, dtype=torch.float64)
    weight_of(method)(weight).backward(upstream)
    alpha = weight.detach().abs().flatten(1).mean(1).view(5, 1, 1, 1)
    window = (weight.detach().abs() <= 1).double()
    expected = upstream * window * (alpha if magnitude_aware else 1)
    torch.testing.assert_close(weight.grad, expected, rtol=1e-14, atol=0)

    x = torch.randn(2, 4, 5, 5, dtype=torch.float64, requires_grad=True)
    method.activation(4)(x).backward(torch.ones_like(x))
    expected = (2 - 2 * x.detach().abs()).clamp(min=0)
    torch.testing.assert_close(x.grad, expected, rtol=1e-14, atol=0)


def test_bireal_is_sign_times_mean_magnitude_without_a_threshold():
    method, weight = get_method("bireal"), latent_weights()
    assert torch.equal(method.weight((5, 3, 3, 2)).sign(weight), sign(weight))
    alpha = weight.abs().flatten(1).mean(1)
    torch.testing.assert_close(
        method.weight((5, 3, 3, 2)).scale(weight).flatten(), alpha
    )
    assert method.activation(4).threshold() == 0
    assert not get_method("bireal").weight((5, 3, 3, 2)).magnitude_aware


def test_full_precision_binarizes_nothing_and_rectifies():
    method = get_method("fp")
    assert method.weight is None
    assert method.activation is None
    assert method.nonlinearity(2)(torch.tensor([-1.0, 2.0])).tolist() == [0.0, 2.0]
