"""XNOR-Net++ against NumPy: signs, and Gamma in its four shapes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from cmim.encoders import BinaryResNet
from cmim.functional.scale_map import resample_linear
from cmim.layers import BasicBlock
from cmim.methods import get_method
from cmim.methods.xnor_net_pp import GammaScale

VARIANTS = ("o", "ohw", "o_hw", "o_h_w")
every_variant = pytest.mark.parametrize("variant", VARIANTS)


def draw_factors(scale: GammaScale) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(3)
    values = {}
    for axes, factor in scale.factors.items():
        values[axes] = generator.normal(size=factor.shape)
        factor.data = torch.from_numpy(values[axes].copy())
    return values


def test_weights_are_signs_with_a_window(weights, upstream):
    weight = torch.from_numpy(weights).requires_grad_()
    binary = get_method("xnor_net_pp").weight((4, 2, 3, 3))(weight)
    gradient = upstream(weights.shape)
    binary.backward(torch.from_numpy(gradient))
    window = (weights >= -1) & (weights <= 1)
    np.testing.assert_array_equal(binary.detach(), np.where(weights >= 0, 1.0, -1.0))
    np.testing.assert_array_equal(weight.grad, gradient * window)


@every_variant
def test_gamma_of_the_outputs_size_is_the_papers(variant, upstream):
    out = np.random.default_rng(4).normal(size=(2, 4, 5, 5))
    scale = GammaScale(4, variant, grid=5).double()
    values = draw_factors(scale)
    x = torch.from_numpy(out).requires_grad_()
    scaled = scale(x, torch.zeros(2, 3, 5, 5))
    gradient = upstream(out.shape)
    scaled.backward(torch.from_numpy(gradient))
    gamma = np.ones((4, 5, 5))
    for value in values.values():
        gamma = gamma * value
    np.testing.assert_allclose(scaled.detach(), out * gamma, rtol=1e-14)
    np.testing.assert_allclose(x.grad, gradient * gamma, rtol=1e-14)
    for axes, value in values.items():
        others = gamma / value
        summed = tuple(i for i, axis in enumerate("ohw") if axis not in axes)
        expected = ((gradient * out).sum(0) * others).sum(summed, keepdims=True)
        np.testing.assert_allclose(scale.factors[axes].grad, expected, rtol=1e-10)


@pytest.mark.parametrize("size", [(3, 17), (8, 8), (20, 1)])
def test_interpolation_is_bilinear(size):
    cells = torch.randn(3, 8, 6, dtype=torch.float64)
    expected = F.interpolate(cells[None], size, mode="bilinear", align_corners=False)
    torch.testing.assert_close(resample_linear(cells, size), expected[0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_interpolation_to_the_same_size_is_the_identity(dtype):
    cells = torch.randn(3, 13, 640).to(dtype)
    assert torch.equal(resample_linear(cells, (13, 640)), cells)


@every_variant
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_constant_grid_multiplies_at_any_resolution(variant, dtype):
    scale = GammaScale(4, variant, grid=3).to(dtype)
    for factor in scale.factors.values():
        factor.data.fill_(2)
    factor = 2 ** len(scale.factors)
    for size in [(1, 1), (2, 7), (11, 3)]:
        out = torch.randn(2, 4, *size).to(dtype)
        scaled = scale(out, out)
        assert scaled.dtype == dtype
        assert torch.equal(scaled, out * factor)


@every_variant
def test_starts_as_signs_alone_and_learns_gamma(variant):
    method = get_method({"name": "xnor_net_pp", "variant": variant, "grid": 4})
    block = BasicBlock(method, 4, 4)
    out = torch.randn(2, 4, 6, 6)
    assert torch.equal(block.scale1(out, out), out)
    block(torch.randn(2, 4, 6, 6)).square().sum().backward()
    gradients = [p.grad.abs().sum() for p in block.scale1.parameters()]
    assert len(gradients) == len(variant.split("_"))
    assert all(gradient > 0 for gradient in gradients)


def test_only_the_variant_per_channel_is_equivariant_to_flips():
    out = torch.randn(1, 4, 6, 6, dtype=torch.float64)
    for variant in VARIANTS:
        scale = GammaScale(4, variant, grid=4).double()
        draw_factors(scale)
        flipped = scale(out.flip(-1), out).flip(-1)
        assert torch.allclose(flipped, scale(out, out)) == (variant == "o")


def test_one_encoder_runs_at_any_resolution():
    encoder = BinaryResNet(method="xnor_net_pp", base_channels=4).eval()
    for size in [(32, 32), (48, 64)]:
        assert encoder(torch.randn(1, 3, *size))[-1].isfinite().all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variant": "hw"}, "has no variant 'hw'; choose from o, ohw, o_hw, o_h_w"),
        ({"grid": 0}, "needs a grid of at least 1, got 0"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        get_method({"name": "xnor_net_pp", **options})
