"""SLB against NumPy: softmax over two values, its schedule, codes at the end."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import conv2d

from cmim.functional.relaxed_sign import relaxed_sign, search_temperature
from cmim.methods import get_method

# 350 ** q by hand: q = 0, 0, 1/2, 1 between 0.4 and 0.9.
TEMPERATURES = {0.0: 1.0, 0.4: 1.0, 0.65: 18.70828693, 0.89999: 349.959}


def numpy_softmax_of_two(d: np.ndarray, t: float) -> tuple[np.ndarray, np.ndarray]:
    """Expectation of {-1, +1} and its derivative for d, by the logits (0, d)."""
    logits = np.stack([np.zeros_like(d), t * d])
    powers = np.exp(logits - logits.max(0))
    down, up = powers / powers.sum(0)
    return up - down, 2 * t * up * down


def searched(progress: float, dtype: torch.dtype = torch.float64):
    binarize = get_method("slb").weight((4, 2, 3, 3)).to(dtype)
    binarize.set_progress(progress)
    return binarize


@pytest.mark.parametrize("progress", list(TEMPERATURES))
def test_temperature_by_hand(progress):
    found = search_temperature(torch.tensor(progress, dtype=torch.float64))
    assert found.item() == pytest.approx(TEMPERATURES[progress], rel=1e-6)


@pytest.mark.parametrize("progress", [0.9, 0.95, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_temperature_is_infinite_from_the_end_on(progress, dtype):
    found = search_temperature(torch.tensor(progress, dtype=dtype))
    assert found.item() == torch.inf


def test_soft_to_the_last_step_where_the_end_is_one():
    last = torch.tensor(1 - 1e-6, dtype=torch.float64)
    assert search_temperature(last, end=1.0).isfinite()


@pytest.mark.parametrize("progress", list(TEMPERATURES))
def test_weights_and_their_true_gradient(weights, upstream, progress):
    binarize = searched(progress)
    weight = torch.from_numpy(weights).requires_grad_()
    soft = binarize(weight)
    gradient = upstream(weights.shape)
    soft.backward(torch.from_numpy(gradient))
    t = binarize.temperature().item()
    assert t == pytest.approx(TEMPERATURES[progress], rel=1e-3)
    value, slope = numpy_softmax_of_two(weights, t)
    np.testing.assert_allclose(soft.detach(), value, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(weight.grad, gradient * slope, rtol=1e-6, atol=1e-12)
    assert ((np.abs(soft.detach().numpy()) < 0.99) & (weights != 0)).any()


def test_gradient_is_that_of_finite_differences():
    x = torch.linspace(-2, 2, 9, dtype=torch.float64, requires_grad=True)
    temperature = torch.tensor(3.0, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: relaxed_sign(x, temperature), x)


def test_training_from_the_end_on_sees_the_codes_of_evaluation(weights):
    weight = torch.from_numpy(weights).requires_grad_()
    hard = searched(0.9000001)(weight)
    hard.sum().backward()
    expected = np.where(weights >= 0, 1.0, -1.0)
    np.testing.assert_array_equal(hard.detach(), expected)
    np.testing.assert_array_equal(weight.grad, np.zeros_like(weights))
    # Soft by a hair before it, and not yet the codes.
    soft = searched(0.8)(weight)
    assert (soft.detach().numpy() != expected).any()


@pytest.mark.parametrize("progress", [0.0, 0.65, 1.0])
def test_evaluation_does_not_depend_on_the_schedule(weights, progress):
    binarize = searched(progress).eval()
    binary = binarize(torch.from_numpy(weights))
    np.testing.assert_array_equal(binary, np.where(weights >= 0, 1.0, -1.0))


def test_descent_on_two_logits_is_descent_on_the_difference_at_twice_the_rate():
    torch.manual_seed(0)
    logits = torch.randn(5, 1, 3, 3, 2, dtype=torch.float64)
    latent = logits[..., 1] - logits[..., 0]
    image, target = torch.randn(2, 1, 6, 6).double(), torch.randn(2, 5, 4, 4).double()
    rate, decay = 0.05, 0.1
    for _ in range(4):
        logits.requires_grad_(), latent.requires_grad_()
        mixed = torch.softmax(logits * 2.5, -1) @ torch.tensor([-1.0, 1.0]).double()
        temperature = torch.tensor(2.5).double()
        for binary in (mixed, relaxed_sign(latent, temperature)):
            (conv2d(image, binary) - target).square().mean().backward()
        with torch.no_grad():
            logits = logits - rate * (logits.grad + decay * logits)
            latent = latent - 2 * rate * (latent.grad + decay / 2 * latent)
    torch.testing.assert_close(logits[..., 1] - logits[..., 0], latent)


def test_activations(activations, upstream):
    x = torch.from_numpy(activations).requires_grad_()
    gradient = upstream(activations.shape)
    codes = get_method("slb").activation(4)(x)
    codes.backward(torch.from_numpy(gradient))
    np.testing.assert_array_equal(codes.detach(), np.where(activations >= 0, 1.0, -1.0))
    np.testing.assert_array_equal(x.grad, gradient * (np.abs(activations) <= 1))


@pytest.mark.parametrize("progress", [0.0, 0.85, 0.95])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_constant_and_zero_filters_in_every_type(dtype, progress):
    weight = torch.zeros(4, 2, 3, 3, dtype=dtype)
    weight[1], weight[2] = -3.0, 1e-3
    weight.requires_grad_()
    binary = searched(progress, dtype)(weight)
    binary.sum().backward()
    assert binary.dtype == weight.grad.dtype == dtype
    assert weight.grad.isfinite().all()
    assert (binary[0] == (1.0 if progress > 0.9 else 0.0)).all()
    assert (binary[1] < 0).all()


def test_only_the_output_is_kept_for_the_backward_pass():
    weight = torch.randn(4, 2, 3, 3, requires_grad=True)
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(saved.append, lambda t: t):
        binary = searched(0.0, torch.float32)(weight)
    assert [t.data_ptr() for t in saved if t.numel() > 1] == [binary.data_ptr()]


@pytest.mark.parametrize("options", [{"t_min": 0.0}, {"t_max": 0.5}])
def test_temperatures_must_rise_from_above_zero(options):
    with pytest.raises(ValueError, match="needs 0 < t_min <= t_max"):
        get_method({"name": "slb", **options})


@pytest.mark.parametrize("options", [{"start": -0.1}, {"end": 0.4}, {"end": 1.1}])
def test_start_must_lie_before_the_end(options):
    with pytest.raises(ValueError, match="needs 0 <= start < end <= 1"):
        get_method({"name": "slb", **options})
