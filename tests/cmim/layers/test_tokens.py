"""Binarizers on tokens: those of maps, with the channels last."""

from __future__ import annotations

import pytest
import torch

from cmim.convert.placed import placed
from cmim.layers import TokenActivation
from cmim.methods import available_methods, get_method

METHODS = [
    name for name in available_methods() if get_method(name).activation is not None
]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(4, 5), (2, 7, 5), (2, 3, 4, 5)])
def test_codes_steps_and_gradients_are_those_of_maps(method, shape):
    torch.manual_seed(0)
    inner = placed(get_method(method).activation(5), 5).eval()
    for parameter in inner.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape)
    inner.place(torch.randn(5), torch.rand(5) + 0.5)
    binarize = TokenActivation(inner).eval()
    assert (binarize.static, binarize.even) == (inner.static, inner.even)
    x = torch.randn(shape, requires_grad=True)
    ours = binarize(x)
    (ours * torch.arange(5.0)).sum().backward()
    map_of_x = x.detach().movedim(-1, 1).requires_grad_()
    theirs = inner(map_of_x)
    torch.testing.assert_close(ours, theirs.movedim(1, -1))
    (theirs.movedim(1, -1) * torch.arange(5.0)).sum().backward()
    torch.testing.assert_close(x.grad, map_of_x.grad.movedim(1, -1))
    with torch.no_grad():
        total = torch.zeros(shape)
        for threshold, low, high in binarize.steps(x):
            low, high = torch.as_tensor(low), torch.as_tensor(high)
            total += torch.where(x >= threshold, high, low)
        torch.testing.assert_close(total, binarize(x))
