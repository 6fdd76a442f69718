"""ReActNet against NumPy: RSign, RPReLU, and the two steps of its training."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from cmim.layers import BasicBlock, BinaryConv2d
from cmim.methods import get_method

SHIFT = np.array([0.0, 0.5, -1.0, -0.0])


def by_channel(values: np.ndarray) -> np.ndarray:
    return values.reshape(1, -1, 1, 1)


def test_rsign_and_the_gradient_of_its_thresholds(activations, upstream):
    binarize = get_method("reactnet").activation(4).double()
    binarize.shift.data = torch.from_numpy(SHIFT.copy())
    x = torch.from_numpy(activations).requires_grad_()
    codes = binarize(x)
    gradient = upstream(activations.shape)
    codes.backward(torch.from_numpy(gradient))
    moved = activations + by_channel(SHIFT)
    slope = np.maximum(0, 2 - 2 * np.abs(moved))
    np.testing.assert_array_equal(codes.detach(), np.where(moved >= 0, 1.0, -1.0))
    np.testing.assert_allclose(x.grad, gradient * slope, atol=1e-14)
    expected = (gradient * slope).sum((0, 2, 3))
    np.testing.assert_allclose(binarize.shift.grad, expected, atol=1e-12)
    assert (moved == 0).any()


def test_rsign_keeps_its_input_and_no_copy():
    binarize = get_method("reactnet").activation(4)
    x = torch.randn(2, 4, 5, 5, requires_grad=True)
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(saved.append, lambda t: t):
        binarize(x)
    large = [t.data_ptr() for t in saved if t.numel() == x.numel()]
    assert large == [x.data_ptr()]


def test_rprelu_and_the_gradients_of_its_parameters(activations, upstream):
    module = get_method("reactnet").nonlinearity(4).double()
    slope, offset = np.array([0.25, -0.5, 0.0, 2.0]), np.array([1.0, 0.0, -2.0, 0.5])
    values = dict(shift=SHIFT, slope=slope, offset=offset)
    for name, value in values.items():
        module.get_parameter(name).data = torch.from_numpy(value.copy())
    x = torch.from_numpy(activations).requires_grad_()
    y = module(x)
    gradient = upstream(activations.shape)
    y.backward(torch.from_numpy(gradient))
    moved = activations + by_channel(SHIFT)
    bend = np.where(moved > 0, 1.0, by_channel(slope))
    np.testing.assert_allclose(y.detach(), moved * bend + by_channel(offset))
    np.testing.assert_allclose(x.grad, gradient * bend)
    expected = dict(
        shift=gradient * bend,
        slope=gradient * np.minimum(moved, 0),
        offset=gradient,
    )
    for name, value in expected.items():
        found = module.get_parameter(name).grad
        np.testing.assert_allclose(found, value.sum((0, 2, 3)), atol=1e-12)


def test_starts_as_bireal_with_a_leaky_relu():
    method, x = get_method("reactnet"), torch.randn(2, 4, 5, 5)
    assert torch.equal(method.activation(4)(x), get_method("bireal").activation(4)(x))
    assert torch.equal(method.nonlinearity(4)(x), nn.LeakyReLU(0.25)(x))


def test_first_step_keeps_weights_real_and_its_state_fits_the_second():
    first = BasicBlock(get_method({"name": "reactnet", "step": 1}), 4, 4)
    second = BasicBlock(get_method("reactnet"), 4, 4)
    assert not isinstance(first.conv1, BinaryConv2d)
    assert isinstance(second.conv1, BinaryConv2d)
    second.load_state_dict(first.state_dict())
    with pytest.raises(ValueError, match="has no step 3; choose 1"):
        get_method({"name": "reactnet", "step": 3})
