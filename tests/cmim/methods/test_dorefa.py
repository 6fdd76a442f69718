"""DoReFa-Net with one bit against NumPy."""

from __future__ import annotations

import numpy as np
import torch

from cmim.methods import get_method


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
