"""Ternary weights against NumPy: thresholds, scales, two exact terms, export."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cmim.deploy.binary_layer import read_layer
from cmim.deploy.packed_conv import PackedConv
from cmim.functional.ternary import ternarize, ternary_terms
from cmim.layers import BinaryConv2d
from cmim.methods import get_method

every_granularity = pytest.mark.parametrize("granularity", ["layer", "filter"])
every_float = pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str
)


def numpy_ternary(weights: np.ndarray, factor: float, granularity: str) -> np.ndarray:
    out = np.zeros_like(weights)
    parts = [slice(None)] if granularity == "layer" else range(len(weights))
    for part in parts:
        values = weights[part]
        threshold = factor * np.abs(values).mean()
        outside = np.abs(values) > threshold
        alpha = np.abs(values)[outside].mean() if outside.any() else 0.0
        out[part] = alpha * (
            (values > threshold).astype(float) - (values < -threshold).astype(float)
        )
    return out


@every_granularity
@pytest.mark.parametrize("factor", [0.7, 0.75])
def test_weights_are_the_papers_and_the_gradient_passes(
    weights, upstream, granularity, factor
):
    options = dict(name="twn", factor=factor, granularity=granularity)
    weight = torch.from_numpy(weights).requires_grad_()
    binary = get_method(options).weight(weights.shape)(weight)
    gradient = torch.from_numpy(upstream(weights.shape))
    binary.backward(gradient)
    expected = numpy_ternary(weights, factor, granularity)
    np.testing.assert_allclose(binary.detach(), expected, rtol=1e-14, atol=0)
    assert (expected == 0).any()
    assert torch.equal(weight.grad, gradient)


@every_float
@every_granularity
def test_two_terms_add_up_exactly(weights, dtype, granularity):
    weight = torch.from_numpy(weights).to(dtype)
    per_filter = granularity == "filter"
    terms = ternary_terms(weight, 0.7, per_filter)
    assert all(scale.shape == (4, 1, 1, 1) for scale, _ in terms)
    assert all(codes.abs().eq(1).all() for _, codes in terms)
    total = sum(scale * codes for scale, codes in terms)
    ternary = ternarize(weight, 0.7, per_filter)
    assert torch.equal(total, ternary)
    for part in ternary if per_filter else [ternary]:
        assert len(part.abs().unique()) == 2
        assert (part == 0).any()


def test_at_a_threshold_of_either_sign_a_weight_is_zero():
    """Mean magnitude 1 and factor 1: the threshold is 1 itself."""
    weight = torch.tensor([[1.0, -1.0, 1.5, -0.5, 0.0, 2.0]])
    assert ternarize(weight, 1.0, True).tolist() == [[0.0, 0.0, 1.75, 0.0, 0.0, 1.75]]


@every_float
def test_a_filter_of_zeros_stays_zeros(dtype):
    weight = torch.tensor([[0.0, -0.0], [1.0, -3.0]], dtype=dtype)
    assert ternarize(weight, 0.7, True).tolist() == [[0.0, 0.0], [0.0, -3.0]]
    assert ternarize(torch.zeros(2, 3, dtype=dtype), 0.7, False).eq(0).all()


def test_half_precision_counts_thousands_of_weights():
    weight = torch.full((1, 3000), 2.0).bfloat16()
    weight[0, ::2] = 0.25
    assert ternarize(weight, 0.7, True).max() == 2.0


@every_granularity
def test_with_signs_the_exported_layer_is_two_exact_products(weights, granularity):
    method = get_method(dict(name="twn", activations="sign", granularity=granularity))
    conv = BinaryConv2d(2, 4, 3, method=method, padding=1).eval()
    conv.weight.data.copy_(torch.from_numpy(weights))
    binarize, x = method.activation(2).eval(), torch.randn(2, 2, 6, 5)
    layer = read_layer("conv", conv, binarize)
    assert layer.products == 2
    with torch.no_grad():
        expected = conv.double()(binarize(x).double())
    torch.testing.assert_close(PackedConv(layer)(x), expected.float())


def test_activations_are_real_unless_asked_for():
    assert get_method("twn").activation is None
    assert "activations" in get_method("twn").full_precision
    signs = get_method({"name": "twn", "activations": "sign"})
    assert "activations" not in signs.full_precision


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"factor": 0.0}, "needs a positive factor, got 0.0"),
        ({"granularity": "x"}, "no granularity 'x'; choose from layer, filter"),
        ({"activations": "x"}, "no activations 'x'; choose from real, sign"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        get_method({"name": "twn", **options})
