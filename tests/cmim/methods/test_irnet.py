"""IR-Net against NumPy: balanced weights, error decay, and its schedule."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from cmim.functional.error_decay import error_decay_slope
from cmim.functional.standardize import power_of_two_scale
from cmim.methods import get_method

every_progress = pytest.mark.parametrize("progress", [0.0, 0.5, 1.0])


def numpy_slope(x: np.ndarray, progress: float, t_min: float = 0.1) -> np.ndarray:
    t = 10 ** (math.log10(t_min) + progress * (1 - math.log10(t_min)))
    return max(1 / t, 1) * t / np.cosh(t * x) ** 2


def numpy_standardized(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    flat = weights.reshape(len(weights), -1)
    deviation = flat.std(1, ddof=1, keepdims=True)
    standardized = (flat - flat.mean(1, keepdims=True)) / deviation
    return standardized, deviation


@pytest.mark.parametrize(
    ("progress", "t", "k"), [(0.0, 0.1, 10.0), (0.5, 1.0, 1.0), (1.0, 10.0, 1.0)]
)
def test_schedule_by_hand(progress, t, k):
    found = error_decay_slope(torch.tensor(progress, dtype=torch.float64))
    assert [value.item() for value in found] == pytest.approx([t, k])


@every_progress
@pytest.mark.parametrize("t_min", [0.1, 0.001])
def test_activations(activations, upstream, progress, t_min):
    method = get_method({"name": "irnet", "t_min": t_min})
    binarize = method.activation(4).double()
    binarize.set_progress(progress)
    x = torch.from_numpy(activations).requires_grad_()
    codes = binarize(x)
    gradient = upstream(activations.shape)
    codes.backward(torch.from_numpy(gradient))
    np.testing.assert_array_equal(codes.detach(), np.where(activations >= 0, 1.0, -1.0))
    expected = gradient * numpy_slope(activations, progress, t_min)
    np.testing.assert_allclose(x.grad, expected, rtol=1e-6, atol=1e-12)


@every_progress
def test_weights_and_the_gradient_through_mean_and_deviation(
    weights, upstream, progress
):
    binarize = get_method("irnet").weight((4, 2, 3, 3)).double()
    binarize.set_progress(progress)
    weights[2] *= np.abs(weights[2]) ** 4  # heavy tails: a scale below one
    weight = torch.from_numpy(weights).requires_grad_()
    binary = binarize(weight)
    gradient = upstream(weights.shape)
    binary.backward(torch.from_numpy(gradient))
    standardized, deviation = numpy_standardized(weights)
    scale = 2 ** np.round(np.log2(np.abs(standardized).mean(1, keepdims=True)))
    expected = np.where(standardized >= 0, scale, -scale).reshape(weights.shape)
    np.testing.assert_array_equal(binary.detach(), expected)
    assert scale.min() < 1

    inner = gradient.reshape(4, -1) * scale * numpy_slope(standardized, progress)
    along = (inner * standardized).sum(1, keepdims=True) / (inner.shape[1] - 1)
    expected = (inner - inner.mean(1, keepdims=True) - standardized * along) / deviation
    found = weight.grad.reshape(4, -1)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-9)


def test_weights_at_the_mean_are_plus_one():
    weight = torch.tensor([[[[1.0, 2.0, 3.0]]]])
    assert get_method("irnet").weight((4, 2, 3, 3)).sign(weight).flatten().tolist() == [
        -1,
        1,
        1,
    ]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_scale_is_exactly_a_power_of_two(dtype):
    magnitudes = 2.0 ** torch.arange(-20, 20, dtype=torch.float64)
    scale = power_of_two_scale((1.2 * magnitudes).view(-1, 1).to(dtype))
    assert torch.equal(scale.flatten().double(), magnitudes)


def test_a_filter_of_zeros_gives_zeros_and_finite_gradients():
    weight = torch.zeros(2, 1, 3, 3, requires_grad=True)
    binary = get_method("irnet").weight((4, 2, 3, 3))(weight)
    binary.sum().backward()
    assert torch.equal(binary, torch.zeros_like(binary))
    assert weight.grad.abs().max() < 100


def test_activations_keep_their_input_and_no_copy():
    x = torch.randn(2, 4, 5, 5, requires_grad=True)
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(saved.append, lambda t: t):
        get_method("irnet").activation(4)(x)
    assert [t.data_ptr() for t in saved if t.numel() > 1] == [x.data_ptr()]


@pytest.mark.parametrize("options", [{"t_min": 0.0}, {"t_max": -1.0}])
def test_steepness_must_be_positive(options):
    with pytest.raises(ValueError, match="needs positive t_min and t_max"):
        get_method({"name": "irnet", **options})
