"""FDA against NumPy: sums of cosines, noise adaptation, and what training leaves."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from cmim.functional.fourier_sign import fourier_sign
from cmim.methods import get_method
from cmim.methods.fda import FdaActivation, FdaWeight

# Sines and weight of the noise at each progress.
STATE = {0.0: (10, 0.1), 0.5: (14, 0.05), 1.0: (19, 0.0)}
every_progress = pytest.mark.parametrize("progress", list(STATE))
WINDOW = 1.0


def numpy_slope(x: np.ndarray, terms: int, omega: float = 0.1) -> np.ndarray:
    total = np.zeros_like(x)
    for i in range(terms):
        total += np.cos((2 * i + 1) * omega * x)
    return 4 * omega / math.pi * total * (np.abs(x) <= WINDOW)


def numpy_noise(x: np.ndarray, reduce: np.ndarray, expand: np.ndarray):
    """The noise of rows of x, and its Jacobian for each row."""
    hidden = x @ reduce.T
    noise = np.maximum(hidden, 0) @ expand.T + 0.1 * np.sin(x)
    jacobians = [
        expand @ np.diag((h > 0).astype(float)) @ reduce + np.diag(0.1 * np.cos(row))
        for h, row in zip(hidden, x, strict=True)
    ]
    return noise, np.stack(jacobians)


@pytest.mark.parametrize("omega", [0.1, 1.0, 3.0])
@pytest.mark.parametrize("terms", [1, 10, 19])
def test_closed_form_is_the_sum_of_cosines(activations, upstream, terms, omega):
    x = torch.from_numpy(activations).requires_grad_()
    codes = fourier_sign(x, torch.tensor(terms), omega)
    gradient = upstream(activations.shape)
    codes.backward(torch.from_numpy(gradient))
    np.testing.assert_array_equal(codes.detach(), np.where(activations >= 0, 1.0, -1.0))
    expected = gradient * numpy_slope(activations, terms, omega)
    np.testing.assert_allclose(x.grad, expected, rtol=1e-12, atol=1e-12)
    assert (x.grad != 0).numpy()[np.abs(activations) == 1].all()


def test_bfloat16_has_the_slope_of_its_rounded_input(activations):
    x = torch.from_numpy(activations).bfloat16().requires_grad_()
    codes = fourier_sign(x, torch.tensor(10))
    codes.backward(torch.ones_like(x))
    rounded = x.detach().double().numpy()
    assert codes.dtype == x.grad.dtype == torch.bfloat16
    np.testing.assert_array_equal(
        codes.detach().float(), np.where(rounded >= 0, 1.0, -1.0)
    )
    np.testing.assert_allclose(
        x.grad.double(), numpy_slope(rounded, 10), rtol=2**-8, atol=1e-6
    )


def test_it_is_the_derivative_of_the_series():
    x = torch.linspace(-1, 1, 21, dtype=torch.float64)
    wave = x.clone().requires_grad_()
    series = sum(
        4 / math.pi * torch.sin((2 * i + 1) * 0.1 * wave) / (2 * i + 1)
        for i in range(10)
    )
    (expected,) = torch.autograd.grad(series.sum(), wave)
    leaf = x.clone().requires_grad_()
    fourier_sign(leaf, torch.tensor(10)).sum().backward()
    torch.testing.assert_close(leaf.grad, expected)


@every_progress
@pytest.mark.parametrize("noise", [True, False])
def test_weights_in_training(weights, upstream, progress, noise):
    torch.manual_seed(0)
    binarize = FdaWeight(18, 0.1, noise).double()
    binarize.set_progress(progress)
    weight = torch.from_numpy(weights).requires_grad_()
    binary = binarize(weight)
    gradient = upstream(weights.shape)
    binary.backward(torch.from_numpy(gradient))
    terms, alpha = STATE[progress]
    flat, inner = weights.reshape(4, -1), gradient.reshape(4, -1)
    scale = np.abs(flat).mean(1, keepdims=True)
    codes = np.where(flat >= 0, 1.0, -1.0)
    inner = inner * scale
    expected = inner * numpy_slope(flat, terms)
    if noise:
        pair = (p.detach().numpy() for p in binarize.noise.parameters())
        added, jacobians = numpy_noise(flat, *pair)
        codes = codes + alpha * added
        expected = expected + alpha * np.einsum("no,noi->ni", inner, jacobians)
    np.testing.assert_allclose(
        binary.detach(), (scale * codes).reshape(weights.shape), rtol=1e-6
    )
    np.testing.assert_allclose(
        weight.grad.reshape(4, -1), expected, rtol=1e-6, atol=1e-6
    )


@every_progress
def test_activations_in_training_read_the_channels_of_a_pixel(
    activations, upstream, progress
):
    torch.manual_seed(0)
    binarize = FdaActivation(4, 0.1, noise=True).double()
    binarize.set_progress(progress)
    x = torch.from_numpy(activations).requires_grad_()
    out = binarize(x)
    gradient = upstream(activations.shape)
    out.backward(torch.from_numpy(gradient))
    terms, alpha = STATE[progress]
    rows, inner = (
        a.transpose(0, 2, 3, 1).reshape(-1, 4) for a in (activations, gradient)
    )
    pair = (p.detach().numpy() for p in binarize.noise.parameters())
    added, jacobians = numpy_noise(rows, *pair)
    codes = np.where(rows >= 0, 1.0, -1.0) + alpha * added
    slope = inner * numpy_slope(rows, terms)
    slope = slope + alpha * np.einsum("no,noi->ni", inner, jacobians)
    for found, expected in [(out.detach(), codes), (x.grad, slope)]:
        found = found.permute(0, 2, 3, 1).reshape(-1, 4)
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)


def test_evaluation_has_no_noise_at_any_time(activations, weights):
    method = get_method("fda")
    binarize = method.activation(4).double()
    x, w = torch.from_numpy(activations), torch.from_numpy(weights)
    weight = method.weight(w.shape).double()
    assert set(binarize(x).unique().tolist()) != {-1.0, 1.0}
    assert set(binarize.eval()(x).unique().tolist()) == {-1.0, 1.0}
    scale = w.abs().flatten(1).mean(1).view(4, 1, 1, 1)
    expected = scale * torch.where(w >= 0, 1.0, -1.0)
    torch.testing.assert_close(weight.eval()(w), expected)


def test_without_noise_the_convolution_keeps_bits():
    assert get_method("fda").activation(4).soft_training
    plain = get_method({"name": "fda", "noise": False}).activation(4)
    assert not plain.soft_training
    assert not list(plain.parameters())


@pytest.mark.parametrize("omega", [0.0, math.pi, -1.0, math.nan])
def test_a_frequency_with_a_period_in_the_window_is_refused(omega):
    with pytest.raises(ValueError, match="needs omega between 0 and pi"):
        get_method({"name": "fda", "omega": omega})
