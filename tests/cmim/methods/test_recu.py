"""ReCU against NumPy: clamped weights, standardised gradients, tau."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from cmim.functional.standardize import quantile_threshold
from cmim.layers import BasicBlock
from cmim.methods import get_method

TAUS = {0.0: 0.85, 0.5: 0.85 + 0.14 * (math.exp(0.5) - 1) / (math.e - 1), 1.0: 0.99}
every_progress = pytest.mark.parametrize("progress", list(TAUS))


@every_progress
def test_tau_rises_from_085_to_099(progress):
    tau = quantile_threshold(torch.tensor(progress).double(), 0.85, 0.99)
    assert tau.item() == pytest.approx(TAUS[progress], abs=1e-12)


@every_progress
def test_weights_and_the_gradient_through_clamp_and_deviation(
    weights, upstream, progress
):
    binarize = get_method("recu").weight((4, 2, 3, 3)).double()
    binarize.set_progress(progress)
    weights[3] *= np.abs(weights[3])  # tails beyond the clamp
    weight = torch.from_numpy(weights).requires_grad_()
    codes = binarize(weight)
    gradient = upstream(weights.shape)
    codes.backward(torch.from_numpy(gradient))
    flat = weights.reshape(4, -1)
    centred = flat - flat.mean(1, keepdims=True)
    deviation = np.sqrt(flat.var(1, ddof=1, keepdims=True) + 1e-5)
    standardized = 2 * math.sqrt(2) * centred / deviation
    expected = np.where(centred >= 0, 1.0, -1.0).reshape(weights.shape)
    np.testing.assert_array_equal(codes.detach(), expected)

    bound = -np.abs(standardized).mean() * math.log(2 - 2 * TAUS[progress])
    inside = np.abs(standardized) <= bound
    assert inside.all() == (progress == 1.0)
    inner = gradient.reshape(4, -1) * inside * 2 * math.sqrt(2) / deviation
    along = (inner * centred).sum(1, keepdims=True) / (inner.shape[1] - 1)
    expected = inner - inner.mean(1, keepdims=True) - along * centred / deviation**2
    found = weight.grad.reshape(4, -1)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-10)


def numpy_quotient_slope(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    deviation = np.sqrt(x.var(1, ddof=1, keepdims=True) + 1e-5)
    return np.maximum(0, 2 - 2 * np.abs(x / deviation)), deviation


def test_gradient_in_training_flows_through_the_samples_deviation(
    activations, upstream
):
    x = torch.from_numpy(3 * activations).requires_grad_()
    codes = get_method("recu").activation(4)(x)
    gradient = upstream(activations.shape)
    codes.backward(torch.from_numpy(gradient))
    np.testing.assert_array_equal(codes.detach(), np.where(activations >= 0, 1.0, -1.0))
    flat = 3 * activations.reshape(3, -1)
    slope, deviation = numpy_quotient_slope(flat)
    inner = gradient.reshape(3, -1) * slope
    # d(x_i / s)/dx_j = delta_ij / s - x_i (x_j - m) / ((n - 1) s^3), written out.
    jacobian = np.eye(36) / deviation[:, :, None]
    centred = flat - flat.mean(1, keepdims=True)
    outer = flat[:, :, None] * centred[:, None, :]
    jacobian = jacobian - outer / (35 * deviation[:, :, None] ** 3)
    expected = np.einsum("ni,nij->nj", inner, jacobian)
    np.testing.assert_allclose(x.grad.reshape(3, -1), expected, rtol=1e-9, atol=1e-12)


def test_gradient_in_evaluation_is_bireals(activations, upstream):
    x = torch.from_numpy(activations).requires_grad_()
    gradient = upstream(activations.shape)
    codes = get_method("recu").activation(4).eval()(x)
    codes.backward(torch.from_numpy(gradient))
    expected = gradient * np.maximum(0, 2 - 2 * np.abs(activations))
    np.testing.assert_allclose(x.grad, expected, atol=1e-14)


def test_activations_keep_their_input_and_no_copy():
    x = torch.randn(2, 4, 5, 5, requires_grad=True)
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(saved.append, lambda t: t):
        get_method("recu").activation(4)(x)
    assert [t.data_ptr() for t in saved] == [x.data_ptr()]


def test_output_has_a_learned_factor_per_channel():
    block = BasicBlock(get_method("recu"), 4, 6)
    assert block.scale1.weight.shape == block.scale2.weight.shape == (6,)
    out, a = torch.randn(2, 6, 3, 3), torch.randn(2, 4, 3, 3)
    gradient = torch.randn(out.shape)
    scaled = block.scale1(out, a)
    scaled.backward(gradient)
    factor = block.scale1.weight.detach().view(6, 1, 1)
    torch.testing.assert_close(scaled, out * factor)
    torch.testing.assert_close(
        block.scale1.weight.grad, (gradient * out).sum((0, 2, 3))
    )


@pytest.mark.parametrize("options", [{"tau_min": 0.5}, {"tau_max": 1.0}])
def test_tau_must_leave_room(options):
    with pytest.raises(ValueError, match="needs tau_min and tau_max between"):
        get_method({"name": "recu", **options})
