"""BONN against NumPy: codes, asynchronous gradients, the Bayesian kernel loss."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from cmim.encoders import BinaryResNet
from cmim.functional.bayesian_kernel import bayesian_kernel_error
from cmim.methods import get_method, take_auxiliary_losses
from cmim.methods.bonn import BonnWeight


def numpy_vector(k: np.ndarray) -> np.ndarray:
    """The least squares of signs by weights, position by position."""
    w = np.zeros(k.shape[2:])
    for place in np.ndindex(w.shape):
        values = k[(slice(None), slice(None), *place)].reshape(-1, 1)
        w[place] = np.linalg.lstsq(values, np.sign(values[:, 0]), rcond=None)[0][0]
    return w


def numpy_error(k: np.ndarray, w: np.ndarray, nu: float, eps: float = 1e-8):
    """Loss, and its gradients as the authors state them: each weight in turn."""
    loss, to_k, to_w = 0.0, np.zeros_like(k), np.zeros_like(w)
    for i, kernels in enumerate(k):
        mean = np.abs(kernels).mean()
        variance = (np.abs(kernels) - mean).__pow__(2).mean() + eps
        for place in np.ndindex(kernels.shape):
            value, factor = kernels[place], w[place[1:]]
            code = 1.0 if value >= 0 else -1.0
            apart, off = factor * value - code, value - code * mean
            loss += apart**2 + nu * (off**2 / variance + np.log(variance))
            to_k[(i, *place)] = 2 * (factor * apart + nu * off / variance)
            to_w[place[1:]] += 2 * apart * value
    return loss, to_k, to_w


def test_weights_and_their_gradient(weights, upstream):
    weight = torch.from_numpy(weights).requires_grad_()
    binarize = BonnWeight(1e-4, 0.1)
    binary = binarize(weight)
    gradient = upstream(weights.shape)
    binary.backward(torch.from_numpy(gradient))
    w = numpy_vector(weights)
    codes = np.where(weights >= 0, 1.0, -1.0)
    np.testing.assert_allclose(binary.detach(), codes / w.mean(), rtol=1e-6)
    inside = np.abs(w * weights) <= 1
    assert 0 < inside.sum() < inside.size
    expected = gradient / w.mean() * w * inside
    np.testing.assert_allclose(weight.grad, expected, rtol=1e-6)


def test_the_border_of_the_window_is_inside():
    """Magnitudes of one kernel are all 1 / w: products of exactly +-1."""
    codes = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).view(2, 2, 1, 1)
    weight = (0.25 * codes).double().requires_grad_()
    BonnWeight(1e-4, 0.1)(weight).sum().backward()
    torch.testing.assert_close(weight.grad, torch.ones_like(weight))


@pytest.mark.parametrize("nu", [0.0, 0.3])
def test_loss_and_its_gradients(weights, nu):
    w = np.linspace(0.25, 2.0, 9).reshape(3, 3)
    weight = torch.from_numpy(weights).requires_grad_()
    vector = torch.from_numpy(w).requires_grad_()
    loss = bayesian_kernel_error(weight, vector, nu)
    loss.backward()
    expected, to_k, to_w = numpy_error(weights, w, nu)
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(weight.grad, to_k, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(vector.grad, to_w, rtol=1e-10)


def test_the_layers_loss_is_at_the_optimal_vector(weights):
    binarize = BonnWeight(loss_weight=0.02, nu=0.3)
    weight = torch.from_numpy(weights).requires_grad_()
    binarize(weight)
    loss = binarize.take_auxiliary_loss()
    loss.backward()
    expected, to_k, to_w = numpy_error(weights, numpy_vector(weights), 0.3)
    assert np.abs(to_w).max() < 1e-9 * np.abs(to_k).max()
    assert loss.item() == pytest.approx(0.01 * expected, rel=1e-6)
    np.testing.assert_allclose(weight.grad, 0.01 * to_k, rtol=1e-5, atol=1e-6)


def test_half_precision_is_summed_in_float32(weights):
    rounded = torch.from_numpy(weights).bfloat16()
    w = torch.tensor(0.5)
    found = bayesian_kernel_error(rounded, w, 0.1)
    exact = bayesian_kernel_error(rounded.double(), w.double(), 0.1)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(exact.item(), rel=1e-5)


def test_two_modes_and_their_reconstruction_are_the_minimum():
    """Weights of +-m, w = 1/m: no force; off the mode they are drawn to it."""
    codes = torch.tensor([[1.0, -1.0, 1.0, -1.0, -1.0, 1.0]], dtype=torch.float64)
    kernel = (0.2 * codes).requires_grad_()
    w = torch.tensor(5.0, dtype=torch.float64, requires_grad=True)
    bayesian_kernel_error(kernel, w, nu=0.1).backward()
    torch.testing.assert_close(kernel.grad, torch.zeros_like(kernel))
    torch.testing.assert_close(w.grad, torch.zeros_like(w))
    moved = kernel.detach().clone()
    moved[0, 0] += 0.1
    moved.requires_grad_()
    bayesian_kernel_error(moved, w.detach(), nu=0.1).backward()
    assert moved.grad[0, 0] > 0


def test_constant_and_zero_layers_have_finite_scales_and_gradients():
    for value in (0.0, -0.5):
        weight = torch.full((2, 1, 3, 3), value, requires_grad=True)
        binarize = BonnWeight(1e-4, 0.1)
        binary = binarize(weight)
        assert binary.isfinite().all()
        binarize.take_auxiliary_loss().backward()
        assert weight.grad.isfinite().all()


def test_the_network_leaves_one_loss_in_training_and_none_in_evaluation():
    torch.manual_seed(0)
    encoder = BinaryResNet(depth=20, base_channels=4, method="bonn")
    image = torch.randn(1, 3, 16, 16)
    encoder(image)
    losses = take_auxiliary_losses(encoder)
    assert list(losses) == ["binarizers.loss"]
    losses["binarizers.loss"].backward()
    assert encoder.get_parameter("layer1.0.conv1.weight").grad.abs().sum() > 0
    encoder.eval()(image)
    assert take_auxiliary_losses(encoder) == {}
    copy.deepcopy(encoder)


@pytest.mark.parametrize("options", [{"loss_weight": -1.0}, {"nu": -0.1}])
def test_negative_weights_are_refused(options):
    with pytest.raises(ValueError, match="needs loss_weight and nu >= 0"):
        get_method({"name": "bonn", **options})
