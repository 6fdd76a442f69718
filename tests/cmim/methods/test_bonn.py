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


def make(loss_weight: float = 1e-4, nu: float = 0.1) -> tuple[BonnWeight, np.ndarray]:
    binarize = BonnWeight((4, 2, 3, 3), loss_weight, nu).double()
    vector = np.linspace(0.25, 2.0, 9).reshape(3, 3)
    binarize.reconstruction.data = torch.from_numpy(vector)[None, None].clone()
    return binarize, vector


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


def test_weights_and_the_gradients_to_kernels_and_vector(weights, upstream):
    binarize, w = make()
    # Products of exactly +-1 at the border of the window.
    weights[1, 0, 0, :2] = 1 / w[0, :2] * np.array([1, -1])
    weight = torch.from_numpy(weights).requires_grad_()
    binary = binarize(weight)
    gradient = upstream(weights.shape)
    binary.backward(torch.from_numpy(gradient))
    codes = np.where(weights >= 0, 1.0, -1.0)
    np.testing.assert_allclose(binary.detach(), codes / w.mean(), rtol=1e-14)
    inner = gradient / w.mean() * (np.abs(w * weights) <= 1)
    np.testing.assert_allclose(weight.grad, inner * w, rtol=1e-12)
    np.testing.assert_allclose(
        binarize.reconstruction.grad[0, 0], (inner * weights).sum((0, 1)), rtol=1e-12
    )


@pytest.mark.parametrize("nu", [0.0, 0.3])
def test_loss_and_its_gradients(weights, nu):
    binarize, w = make(loss_weight=0.02, nu=nu)
    weight = torch.from_numpy(weights).requires_grad_()
    binarize(weight)
    loss = binarize.take_auxiliary_loss()
    loss.backward()
    expected, to_k, to_w = numpy_error(weights, w, nu)
    assert loss.item() == pytest.approx(0.01 * expected, rel=1e-12)
    np.testing.assert_allclose(weight.grad, 0.01 * to_k, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(
        binarize.reconstruction.grad[0, 0], 0.01 * to_w, rtol=1e-10
    )


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


def test_constant_and_zero_filters_have_finite_gradients():
    weight = torch.zeros(2, 1, 3, 3)
    weight[1] = -0.5
    weight.requires_grad_()
    bayesian_kernel_error(weight, torch.tensor(2.0), nu=0.1).backward()
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
