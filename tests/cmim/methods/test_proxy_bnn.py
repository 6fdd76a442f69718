"""ProxyBNN against NumPy: combinations of basis vectors and all their gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from cmim.layers import make_conv
from cmim.methods import get_method

every_basis = pytest.mark.parametrize("basis", ["factored", "full"])


def binarizer_of(basis: str, dtype: torch.dtype = torch.float64) -> nn.Module:
    """With a basis away from the identity."""
    torch.manual_seed(0)
    method = get_method({"name": "proxy_bnn", "basis": basis})
    binarizer = method.weight((4, 2, 3, 3)).to(dtype)
    for parameter in binarizer.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return binarizer


def whole_basis(binarizer: nn.Module) -> np.ndarray:
    """``(I k^2, I k^2)``: the tensor product written out."""
    whole = np.ones((1, 1))
    for basis in binarizer.bases:
        whole = np.kron(whole, basis.detach().numpy())
    return whole


@every_basis
def test_starts_as_mean_magnitude_times_sign(weights, basis):
    method = get_method({"name": "proxy_bnn", "basis": basis})
    binarizer = method.weight((4, 2, 3, 3)).double()
    binary = binarizer(torch.from_numpy(weights)).detach().numpy()
    scale = np.abs(weights).mean((1, 2, 3), keepdims=True)
    np.testing.assert_allclose(binary, np.where(weights >= 0, scale, -scale))
    (_, codes), *none = binarizer.terms(torch.from_numpy(weights))
    assert not none
    np.testing.assert_array_equal(codes, np.where(weights >= 0, 1.0, -1.0))


@every_basis
def test_weights_and_all_gradients(weights, upstream, basis):
    binarizer = binarizer_of(basis)
    weight = torch.from_numpy(weights).requires_grad_()
    binary = binarizer(weight)
    gradient = upstream(weights.shape)
    binary.backward(torch.from_numpy(gradient))

    flat, whole = weights.reshape(4, -1), whole_basis(binarizer)
    combined = flat @ whole
    scale = np.abs(combined).mean(1, keepdims=True)
    expected = np.where(combined >= 0, scale, -scale)
    np.testing.assert_allclose(binary.detach().reshape(4, -1), expected)

    inside = np.abs(combined) <= 1
    assert 0 < inside.mean() < 1
    inner = gradient.reshape(4, -1) * inside
    found = weight.grad.reshape(4, -1)
    np.testing.assert_allclose(found, inner @ whole.T, atol=1e-12)
    of_whole = flat.T @ inner
    if basis == "full":
        expected_grads = [of_whole]
    else:
        channels, positions = (p.detach().numpy() for p in binarizer.bases)
        blocks = of_whole.reshape(2, 9, 2, 9)
        expected_grads = [
            np.einsum("ikjl,kl->ij", blocks, positions),
            np.einsum("ikjl,ij->kl", blocks, channels),
        ]
    for parameter, expected in zip(binarizer.bases, expected_grads, strict=True):
        np.testing.assert_allclose(parameter.grad, expected, atol=1e-10)


def test_window_holds_one_and_not_its_neighbour(weights):
    """With the identity the edges of the data are those of the window."""
    weight = torch.from_numpy(weights).requires_grad_()
    get_method("proxy_bnn").weight((4, 2, 3, 3)).double()(weight).sum().backward()
    np.testing.assert_array_equal(weight.grad, np.abs(weights) <= 1)


@every_basis
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_zero_and_constant_filters_in_every_type(dtype, basis):
    binarizer = binarizer_of(basis, dtype)
    weight = torch.zeros(4, 2, 3, 3, dtype=dtype)
    weight[2] = 0.1
    weight.requires_grad_()
    binary = binarizer(weight)
    binary.sum().backward()
    assert binary.dtype == weight.grad.dtype == dtype
    assert (binary[0] == 0).all()
    assert (binarizer.sign(weight)[0] == 1).all()
    assert binary[2].abs().unique().numel() == 1
    assert weight.grad.isfinite().all()


def test_autocast_does_not_change_the_weights(weights):
    binarizer = binarizer_of("factored", torch.float32)
    weight = torch.from_numpy(weights).float()
    expected = binarizer(weight)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (weight.reshape(4, -1) @ torch.eye(18)).dtype == torch.bfloat16
        assert torch.equal(binarizer(weight), expected)


def test_a_convolution_sees_a_new_basis_in_evaluation():
    conv = make_conv(get_method("proxy_bnn"), 2, 4, 3).eval()
    x = torch.randn(1, 2, 5, 5)
    with torch.no_grad():
        before = conv(x)
        conv.weight_binarizer.bases[0].copy_(-torch.eye(2))
        torch.testing.assert_close(conv(x), -before)
    pretrained = nn.Conv2d(2, 4, 3, bias=False).state_dict()
    missing, unexpected = conv.load_state_dict(pretrained, strict=False)
    assert not unexpected
    assert missing == ["weight_binarizer.bases.0", "weight_binarizer.bases.1"]


def test_layers_do_not_share_their_basis_and_unknown_ones_are_said():
    method = get_method("proxy_bnn")
    first, second = (method.weight((4, 2, 3, 3)) for _ in range(2))
    assert first.bases[0] is not second.bases[0]
    with pytest.raises(ValueError, match="choose from factored, full"):
        get_method({"name": "proxy_bnn", "basis": "kernel"})
