"""SiMaN against NumPy: upper halves, gradients of magnitudes, bounds on them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cmim.functional.magnitude_codes import bound_magnitudes, magnitude_codes
from cmim.hooks import ClipLatentWeights
from cmim.layers import BinaryConv2d
from cmim.methods import get_method
from cmim.methods.siman import SimanActivation


def numpy_standardized(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    flat = x.reshape(len(x), -1)
    deviation = np.sqrt(flat.var(1, ddof=1, keepdims=True) + 1e-5)
    return (flat - flat.mean(1, keepdims=True)) / deviation, deviation


def through_standardization(
    gradient: np.ndarray, standardized: np.ndarray, deviation: np.ndarray
) -> np.ndarray:
    """Jacobian written out, one row at a time."""
    count = standardized.shape[1]
    centring = np.eye(count) - 1 / count
    rows = [
        g @ (centring - np.outer(x, x) / (count - 1)) / s
        for g, x, s in zip(gradient, standardized, deviation, strict=True)
    ]
    return np.stack(rows)


def upper_half(magnitudes: np.ndarray) -> np.ndarray:
    """By rank: what is above the lower of the two middle ones."""
    middle = np.sort(magnitudes, axis=1)[:, (magnitudes.shape[1] - 1) // 2]
    return np.where(magnitudes > middle[:, None], 1.0, -1.0)


def test_weights_are_the_upper_half_of_the_magnitudes(weights, upstream):
    binarize = get_method("siman").weight((4, 2, 3, 3)).double()
    weight = torch.from_numpy(weights).requires_grad_()
    codes = binarize(weight)
    gradient = upstream(weights.shape)
    codes.backward(torch.from_numpy(gradient))
    standardized, deviation = numpy_standardized(weights)
    found = codes.detach().numpy().reshape(4, -1)
    np.testing.assert_array_equal(found, upper_half(np.abs(standardized)))
    assert (found.sum(1) == 0).all()
    inner = gradient.reshape(4, -1) * np.sign(standardized)
    expected = through_standardization(inner, standardized, deviation)
    np.testing.assert_allclose(
        weight.grad.reshape(4, -1), expected, rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_exact_zeros_have_no_side_and_the_median_is_low(dtype):
    weight = torch.tensor(
        [[0.0, -0.0, 2.0, -3.0], [1.0, -1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0]],
        dtype=dtype,
        requires_grad=True,
    )
    codes = magnitude_codes(weight)
    codes.sum().backward()
    assert codes.dtype == dtype
    assert codes.tolist() == [[-1, -1, 1, 1], [-1] * 4, [-1] * 4]
    assert weight.grad.tolist() == [[0, 0, 1, -1], [1, -1, 1, 1], [0] * 4]


def test_an_odd_filter_has_one_more_below():
    codes = magnitude_codes(torch.tensor([[5.0, -4.0, 3.0, 2.0, 1.0]]))
    assert codes.tolist() == [[1, 1, -1, -1, -1]]


def test_signs_and_factors_change_no_code(weights):
    w = torch.from_numpy(weights)
    codes = magnitude_codes(w)
    flipped = torch.where(torch.rand_like(w) < 0.5, w, -w)
    assert torch.equal(magnitude_codes(3 * flipped), codes)


@pytest.mark.parametrize("training", [True, False])
def test_activations_are_signs_around_the_samples_mean(activations, upstream, training):
    x = torch.from_numpy(2 * activations).requires_grad_()
    binarize = SimanActivation().train(training)
    codes = binarize(x)
    gradient = upstream(activations.shape)
    codes.backward(torch.from_numpy(gradient))
    standardized, deviation = numpy_standardized(2 * activations)
    expected = np.where(standardized >= 0, 1.0, -1.0)
    np.testing.assert_array_equal(codes.detach().reshape(3, -1), expected)
    slope = np.maximum(0, 2 - 2 * np.abs(standardized))
    inner = gradient.reshape(3, -1) * slope
    expected = through_standardization(inner, standardized, deviation)
    np.testing.assert_allclose(x.grad.reshape(3, -1), expected, rtol=1e-9, atol=1e-12)


def test_a_constant_sample_is_plus_one_and_has_a_finite_gradient():
    x = torch.full((2, 3, 4, 4), 0.7, requires_grad=True)
    codes = SimanActivation()(x)
    codes.backward(torch.randn(x.shape))
    assert codes.unique().tolist() == [1.0]
    assert x.grad.isfinite().all()


# Of 72 magnitudes 0.925 and 0.85 of the way from the least to the largest are bounds.
@pytest.mark.parametrize(("percent", "bounded"), [(0.0, 1), (7.5, 6), (15.0, 11)])
def test_bounds_are_the_layers_percentiles(weights, percent, bounded):
    found = bound_magnitudes(torch.from_numpy(weights), torch.tensor(percent))
    centred = weights - weights.mean((1, 2, 3), keepdims=True)
    magnitude = np.abs(centred)
    low, high = np.percentile(magnitude, [percent, 100 - percent])
    expected = np.sign(centred) * np.clip(magnitude, low, high)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    magnitude = found.abs().numpy()
    assert (magnitude == magnitude.max()).sum() == bounded


def test_the_bounds_open_as_training_proceeds():
    torch.manual_seed(0)
    conv = BinaryConv2d(4, 6, 3, method="siman")
    before = conv.weight.detach().clone()
    hook = ClipLatentWeights()

    class Runner:
        model = conv

    hook.before_train(Runner())
    spans = []
    for progress in (0.0, 0.5, 1.0):
        conv.weight.data.copy_(before)
        conv.weight_binarizer.set_progress(progress)
        hook.after_train_iter(Runner(), 0)
        magnitude = conv.weight.detach().abs()
        spans.append((magnitude.max() / magnitude.min()).item())
    assert spans == sorted(spans)
    centred = before - before.mean((1, 2, 3), keepdim=True)
    torch.testing.assert_close(conv.weight.detach(), centred)


def test_half_precision_weights_can_be_bounded(weights):
    rounded = torch.from_numpy(weights).bfloat16()
    found = bound_magnitudes(rounded, torch.tensor(10.0))
    assert found.dtype == torch.bfloat16
    exact = bound_magnitudes(rounded.double(), torch.tensor(10.0))
    torch.testing.assert_close(found.double(), exact, rtol=2**-6, atol=2**-6)


@pytest.mark.parametrize("percent", [-1.0, 50.0])
def test_percentiles_that_leave_nothing_are_refused(percent):
    with pytest.raises(ValueError, match="needs percent from 0 to below 50"):
        get_method({"name": "siman", "percent": percent})
