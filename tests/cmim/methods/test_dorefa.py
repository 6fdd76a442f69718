"""DoReFa-Net with one bit and with several against NumPy."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from cmim.methods import Method, get_method

every_bits = pytest.mark.parametrize("bits", [2, 3, 8])
every_float = pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str
)


def test_weights_have_one_scale_and_the_identity_gradient(weights, upstream):
    weight = torch.from_numpy(weights).requires_grad_()
    binary = get_method("dorefa").weight((4, 2, 3, 3))(weight)
    gradient = upstream(weights.shape)
    binary.backward(torch.from_numpy(gradient))
    scale = np.abs(weights).mean()
    expected = np.where(weights >= 0, scale, -scale)
    np.testing.assert_allclose(binary.detach(), expected, rtol=1e-14)
    np.testing.assert_array_equal(weight.grad, gradient)


def test_activations_are_rounded_in_the_unit_interval(activations, upstream):
    x = torch.from_numpy(activations).requires_grad_()
    codes = get_method("dorefa").activation(4)(x)
    gradient = upstream(activations.shape)
    codes.backward(torch.from_numpy(gradient))
    rounded = np.floor(np.clip(activations, 0, 1) + 0.5)
    window = (activations >= 0) & (activations <= 1)
    np.testing.assert_array_equal(codes.detach(), rounded)
    np.testing.assert_array_equal(x.grad, gradient * window)
    assert window[np.signbit(activations) & (activations == 0)].all()


def test_signed_activations_are_signs(activations, upstream):
    method = get_method({"name": "dorefa", "signed": True})
    x = torch.from_numpy(activations).requires_grad_()
    codes = method.activation(4)(x)
    gradient = upstream(activations.shape)
    codes.backward(torch.from_numpy(gradient))
    window = (activations >= -1) & (activations <= 1)
    np.testing.assert_array_equal(codes.detach(), np.where(activations >= 0, 1.0, -1.0))
    np.testing.assert_array_equal(x.grad, gradient * window)


def test_levels_say_which_codes_there_are():
    assert get_method("dorefa").activation(4).levels == (0.0, 1.0)
    assert get_method("dorefa").activation(4).threshold() == 0.5
    signed = get_method({"name": "dorefa", "signed": True}).activation(4)
    assert signed.levels == (-1.0, 1.0)


def numpy_levels(x: np.ndarray, bits: int) -> np.ndarray:
    """Level by counting thresholds, as exact fractions of the float's own value."""
    count = 2**bits - 1
    doubled = [Fraction(v) * 2 * count for v in np.clip(x, 0, 1).reshape(-1)]
    levels = [math.floor((v + 1) / 2) for v in doubled]
    return np.reshape(levels, x.shape).astype(float)


def numpy_unit_weights(w: np.ndarray) -> np.ndarray:
    return np.tanh(w) / (2 * np.abs(np.tanh(w)).max()) + 0.5


def several(bits: int) -> Method:
    return get_method({"name": "dorefa", "weight_bits": bits, "activation_bits": bits})


@every_bits
def test_activations_of_several_bits(activations, upstream, bits):
    x = torch.from_numpy(activations).requires_grad_()
    codes = several(bits).activation(4)(x)
    gradient = upstream(activations.shape)
    codes.backward(torch.from_numpy(gradient))
    expected = numpy_levels(activations, bits) / (2**bits - 1)
    window = (activations >= 0) & (activations <= 1)
    np.testing.assert_allclose(codes.detach(), expected, rtol=1e-15)
    np.testing.assert_array_equal(x.grad, gradient * window)


@every_bits
@every_float
def test_codes_are_the_sum_of_steps_at_the_thresholds_and_their_neighbours(bits, dtype):
    binarize = several(bits).activation(1)
    steps = binarize.steps(torch.zeros(1, 1, dtype=dtype))
    assert len(steps) == 2**bits - 1
    at = torch.stack([step.threshold for step in steps])
    infinity = torch.full_like(at, torch.inf)
    x = torch.cat([at, at.nextafter(infinity), at.nextafter(-infinity)]).view(1, -1)
    levels = binarize(x).double() * len(steps)
    expected = sum((x >= step.threshold).double() for step in steps)
    tolerance = len(steps) * torch.finfo(dtype).eps
    torch.testing.assert_close(levels, expected, rtol=0, atol=tolerance)


@every_bits
def test_weights_of_several_bits(weights, bits):
    weight = torch.from_numpy(weights)
    binarize = several(bits).weight((4, 2, 3, 3))
    count = 2**bits - 1
    levels = np.floor(numpy_unit_weights(weights) * count + 0.5)
    expected = 2 * levels / count - 1
    np.testing.assert_allclose(binarize(weight), expected, atol=1e-14)
    terms = binarize.terms(weight)
    assert len(terms) == bits
    for bit, (scale, codes) in enumerate(terms):
        assert scale.shape == (4, 1, 1, 1)
        np.testing.assert_allclose(scale, 2**bit / count, rtol=1e-15)
        np.testing.assert_array_equal(codes, 2 * (levels // 2**bit % 2) - 1)


@every_bits
def test_weight_gradient_goes_through_tanh_and_the_maximum(weights, upstream, bits):
    weights = weights + 0.01 * np.random.default_rng(5).normal(size=weights.shape)
    weights[3] /= 50  # where tanh saturates the maximum has ties
    weight = torch.from_numpy(weights).requires_grad_()
    gradient = upstream(weights.shape)
    several(bits).weight((4, 2, 3, 3))(weight).backward(torch.from_numpy(gradient))
    squashed, slope = np.tanh(weights), 1 / np.cosh(weights) ** 2
    largest = np.abs(squashed).max()
    expected = gradient * slope / largest
    top = np.unravel_index(np.abs(squashed).argmax(), weights.shape)
    pull = (gradient * squashed).sum() / largest**2
    expected[top] -= pull * np.sign(squashed[top]) * slope[top]
    np.testing.assert_allclose(weight.grad, expected, rtol=1e-10, atol=1e-12)


@every_bits
@every_float
def test_weights_are_the_sum_of_their_bits(bits, dtype):
    weight = torch.randn(5, 3, 3, 3).to(dtype)
    weight[0] = 0
    weight[1] = -0.0
    binarize = several(bits).weight(weight.shape)
    terms = binarize.terms(weight)
    assert all(codes.unique().tolist() == [-1.0, 1.0] for _, codes in terms)
    total = sum(scale * codes for scale, codes in terms)
    tolerance = bits * torch.finfo(dtype).eps
    torch.testing.assert_close(binarize(weight), total, rtol=0, atol=tolerance)
    assert (binarize(weight)[:2] > 0).all()


@every_bits
def test_weights_of_zeros_stay_finite(bits):
    weight = torch.zeros(2, 3, 1, 1, requires_grad=True)
    binary = several(bits).weight((2, 3, 1, 1))(weight)
    binary.sum().backward()
    torch.testing.assert_close(binary, torch.full_like(binary, 1 / (2**bits - 1)))
    assert torch.equal(weight.grad, torch.ones_like(weight))


@every_bits
def test_nan_is_not_hidden_behind_a_level(bits):
    x = torch.tensor([[0.3, torch.nan]])
    assert several(bits).activation(2)(x).isnan().tolist() == [[False, True]]
    weight = torch.tensor([[[[0.3, torch.nan]]]])
    assert several(bits).weight((1, 1, 1, 2))(weight)[..., 1].isnan().all()


def test_activations_of_several_bits_keep_one_byte():
    x = torch.randn(2, 4, 5, 5, requires_grad=True)
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(saved.append, lambda t: t):
        several(2).activation(4)(x)
    assert [t.dtype for t in saved] == [torch.bool]


def test_thirty_two_bits_are_full_precision():
    method = get_method({"name": "dorefa", "activation_bits": 32})
    assert method.activation is None
    assert method.weight is not None
    assert "activations" in method.full_precision
    method = get_method({"name": "dorefa", "weight_bits": 32})
    assert method.weight is None
    assert "weights" in method.full_precision


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight_bits": 0}, "needs weight_bits from 1 to 8, or 32 .* got 0"),
        ({"activation_bits": 16}, "needs activation_bits from 1 to 8, or 32 .* got 16"),
        ({"signed": True, "activation_bits": 2}, "signed activations of one bit only"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        get_method({"name": "dorefa", **options})
