"""BNN against NumPy."""

from __future__ import annotations

import numpy as np
import torch

from cmim.methods import get_method


def test_weights_are_signs_with_the_identity_gradient(weights, upstream):
    weight = torch.from_numpy(weights).requires_grad_()
    codes = get_method("bnn").weight((4, 2, 3, 3))(weight)
    gradient = upstream(weights.shape)
    codes.backward(torch.from_numpy(gradient))
    np.testing.assert_array_equal(codes.detach(), np.where(weights >= 0, 1.0, -1.0))
    np.testing.assert_array_equal(weight.grad, gradient)


def test_activations_pass_the_gradient_in_the_closed_window(activations, upstream):
    x = torch.from_numpy(activations).requires_grad_()
    codes = get_method("bnn").activation(4)(x)
    gradient = upstream(activations.shape)
    codes.backward(torch.from_numpy(gradient))
    window = (activations >= -1) & (activations <= 1)
    np.testing.assert_array_equal(codes.detach(), np.where(activations >= 0, 1.0, -1.0))
    np.testing.assert_array_equal(x.grad, gradient * window)
    assert not window.all()


def test_latent_weights_ask_for_clipping_and_the_scale_is_one(weights):
    binarizer = get_method("bnn").weight((4, 2, 3, 3))
    assert binarizer.clip_latent
    assert (binarizer.scale(torch.from_numpy(weights)) == 1).all()


def test_hard_tanh_follows_an_addition():
    x = torch.tensor([-3.0, 0.25, 3.0])
    assert get_method("bnn").nonlinearity(1)(x).tolist() == [-1.0, 0.25, 1.0]
