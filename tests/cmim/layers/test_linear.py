"""Binary linear layers: a 1x1 convolution over tokens, for every method."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cmim.layers import BinaryConv2d, BinaryLinear
from cmim.methods import available_methods, get_method

METHODS = [name for name in available_methods() if get_method(name).weight is not None]


def pair(method: str) -> tuple[BinaryLinear, BinaryConv2d]:
    """The same weights, and whatever a method draws at random, in both kinds."""
    torch.manual_seed(0)
    linear = BinaryLinear(6, 4, method=method)
    torch.manual_seed(0)
    conv = BinaryConv2d(6, 4, 1, method=method)
    conv.load_state_dict(
        {
            name: value.view_as(conv.state_dict()[name])
            for name, value in linear.state_dict().items()
        }
    )
    return linear, conv


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(5, 6), (2, 5, 6), (2, 3, 2, 6)])
def test_outputs_and_gradients_of_a_convolution(method, shape):
    linear, conv = pair(method)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    upstream = torch.randn((*shape[:-1], 4), generator=torch.Generator().manual_seed(2))
    torch.manual_seed(3)
    ours = linear(x)
    torch.manual_seed(3)
    row = conv(x.reshape(1, -1, 6).mT[..., None])
    torch.testing.assert_close(ours, row[..., 0].mT.reshape(ours.shape))
    ours.backward(upstream)
    row.backward(upstream.reshape(1, -1, 4).mT[..., None])
    torch.testing.assert_close(linear.weight.grad, conv.weight.grad[..., 0, 0])


def test_weights_against_numpy():
    """bireal: ``mean|w| sign(w)`` per row, sign(0) = +1; slope ``1{|w| <= 1}``."""
    layer = BinaryLinear(3, 2, method="bireal").double()
    w = np.array([[0.5, -0.0, -2.0], [-0.25, 1.0, 1.5]])
    layer.weight.data = torch.from_numpy(w.copy())
    x = np.array([[1.0, -1.0, 1.0], [2.0, 0.5, -3.0]])
    alpha = np.abs(w).mean(1, keepdims=True)
    binary = alpha * np.where(w >= 0, 1.0, -1.0)
    out = layer(torch.from_numpy(x))
    np.testing.assert_allclose(out.detach().numpy(), x @ binary.T)
    out.sum().backward()
    assert (layer.weight.grad[np.abs(w) > 1] == 0).all()
    assert (layer.weight.grad[np.abs(w) <= 1] != 0).all()
    torch.testing.assert_close(
        layer.latent_forward(torch.from_numpy(x)), torch.from_numpy(x @ w.T)
    )


@torch.no_grad()
def test_the_plain_layer_and_a_new_weight():
    layer = BinaryLinear(6, 4, method="bireal").eval()
    x = torch.randn(3, 6)
    before = layer(x)
    plain = layer.plain_layer()
    assert type(plain) is torch.nn.Linear
    assert plain.bias is None
    torch.testing.assert_close(plain(x), before)
    layer.weight.mul_(-1)  # the cached binary weights must not stay
    torch.testing.assert_close(layer(x), -before)


def test_refusals():
    with pytest.raises(ValueError, match="give either weight_binarizer or method"):
        BinaryLinear(2, 2)
    binarizer = get_method("bireal").weight((2, 2, 1, 1))
    with pytest.raises(ValueError, match="give either weight_binarizer or method"):
        BinaryLinear(2, 2, binarizer, method="bireal")
    with pytest.raises(ValueError, match="use torch's layer in place of BinaryLinear"):
        BinaryLinear(2, 2, method="fp")
