"""Binary transposed convolutions: filters give one output channel each."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from cmim.layers import BinaryConvTranspose2d
from cmim.methods import available_methods, get_method

METHODS = [name for name in available_methods() if get_method(name).weight is not None]
GEOMETRY = [
    dict(kernel_size=2, stride=2),
    dict(kernel_size=3, stride=2, padding=1, output_padding=1),
    dict(kernel_size=(3, 1), dilation=(2, 1), padding=(1, 0)),
]


@pytest.mark.parametrize("options", GEOMETRY)
def test_scales_belong_to_output_channels(options):
    """torch's weights are ``(I, O, kh, kw)``; bireal's scale: mean over the rest."""
    torch.manual_seed(0)
    layer = BinaryConvTranspose2d(3, 4, method="bireal", **options)
    w = layer.weight.detach().numpy()
    alpha = np.abs(w).mean((0, 2, 3), keepdims=True)
    expected = torch.from_numpy(alpha * np.where(w >= 0, 1, -1)).float()
    torch.testing.assert_close(layer.binary_weight(), expected)
    theirs = nn.ConvTranspose2d(3, 4, bias=False, **options)
    theirs.weight.data = expected
    x = torch.randn(2, 3, 5, 6)
    torch.testing.assert_close(layer(x), theirs(x))
    torch.testing.assert_close(layer.eval().plain_layer()(x), theirs(x))
    theirs.weight.data = layer.weight.data
    torch.testing.assert_close(layer.latent_forward(x), theirs(x))


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_it(method):
    torch.manual_seed(0)
    layer = BinaryConvTranspose2d(3, 4, 3, method=method, stride=2)
    out = layer(torch.randn(2, 3, 5, 6))
    assert out.shape == (2, 4, 11, 13)
    out.square().sum().backward()
    assert layer.weight.grad.shape == layer.weight.shape
    assert layer.weight.grad.isfinite().all()
    assert layer.weight.grad.abs().sum() > 0
    layer.eval()
    with torch.no_grad():
        total = sum(scale * codes for scale, codes in layer.terms())
        torch.testing.assert_close(layer.binary_weight(), total.transpose(0, 1))


def test_a_method_without_binary_weights_is_refused():
    with pytest.raises(ValueError, match="in place of BinaryConvTranspose2d"):
        BinaryConvTranspose2d(2, 2, 3, method="fp")
