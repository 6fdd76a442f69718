"""BinaryConnect against NumPy, and its stochastic codes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cmim.layers import make_conv
from cmim.methods import get_method


def make_weight(stochastic: bool):
    return get_method({"name": "binary_connect", "stochastic": stochastic}).weight(
        (4, 2, 3, 3)
    )


def test_signs_and_the_identity_gradient(weights, upstream):
    weight = torch.from_numpy(weights).requires_grad_()
    codes = make_weight(False)(weight)
    gradient = upstream(weights.shape)
    codes.backward(torch.from_numpy(gradient))
    np.testing.assert_array_equal(codes.detach(), np.where(weights >= 0, 1.0, -1.0))
    np.testing.assert_array_equal(weight.grad, gradient)


def test_stochastic_codes_have_the_mean_of_the_hard_sigmoid(upstream):
    values = np.linspace(-1.5, 1.5, 7)
    weight = torch.from_numpy(np.tile(values, (20000, 1))).view(20000, 7, 1, 1)
    weight.requires_grad_()
    torch.manual_seed(0)
    codes = make_weight(True)(weight)
    assert set(codes.unique().tolist()) == {-1.0, 1.0}
    expected = 2 * np.clip((values + 1) / 2, 0, 1) - 1
    # 20000 draws: a standard error of at most 0.0071.
    np.testing.assert_allclose(codes.detach().mean(0).flatten(), expected, atol=0.03)
    gradient = upstream(weight.shape)
    codes.backward(torch.from_numpy(gradient))
    np.testing.assert_array_equal(weight.grad, gradient)


@pytest.mark.parametrize("value", [-1.0, 1.0])
def test_weights_at_the_bounds_are_certain(value):
    codes = make_weight(True)(torch.full((100, 100, 1, 1), value))
    assert (codes == value).all()


def test_evaluation_takes_the_signs_and_the_draws_follow_the_seed(weights):
    binarizer, weight = make_weight(True), torch.from_numpy(weights)
    torch.manual_seed(3)
    first = binarizer(weight)
    torch.manual_seed(3)
    assert torch.equal(binarizer(weight), first)
    binarizer.eval()
    assert torch.equal(binarizer(weight), binarizer.sign(weight))


@pytest.mark.parametrize("stochastic", [False, True])
def test_nan_is_not_hidden_behind_a_code(stochastic):
    weight = torch.tensor([[[[torch.nan]], [[0.5]]]])
    assert make_weight(stochastic)(weight).isnan().flatten().tolist() == [True, False]


def test_activations_stay_real_and_latent_weights_ask_for_clipping():
    method = get_method("binary_connect")
    assert method.activation is None
    assert make_conv(method, 2, 2, 3).weight_binarizer.clip_latent
    assert method.nonlinearity(2)(torch.tensor([-1.0])).item() == 0
