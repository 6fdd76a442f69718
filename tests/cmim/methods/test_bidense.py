"""BiDense against NumPy: adaptive binarizer, and the bypass against a loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cmim.functional.channel_bypass import fit_channels
from cmim.functional.distribution_adaptive import adaptive_scale, adaptive_shift
from cmim.layers import BasicBlock
from cmim.layers.block import Downsample
from cmim.methods import get_method

EXPONENT = np.array([0.0, 0.5, -1.0, 2.0])
SLOPE = np.array([1.0, 0.0, -0.5, 0.25])
BIAS = np.array([0.0, 0.5, -0.0, -1.0])


def by_channel(values: np.ndarray) -> np.ndarray:
    return values.reshape(1, -1, 1, 1)


def binarizer(dtype: torch.dtype = torch.float64):
    method = get_method({"name": "bireal", "additions": ["bidense_binarizer"]})
    binarize = method.activation(4).to(dtype)
    for name, value in dict(exponent=EXPONENT, slope=SLOPE, bias=BIAS).items():
        binarize.get_parameter(name).data = torch.from_numpy(value.copy()).to(dtype)
    return binarize


def test_codes_and_all_gradients(activations, upstream):
    binarize, gradient = binarizer(), upstream(activations.shape)
    x = torch.from_numpy(activations).requires_grad_()
    out = binarize(x)
    out.backward(torch.from_numpy(gradient))

    mean = activations.mean((2, 3), keepdims=True)
    moved = activations - (by_channel(SLOPE) * mean + by_channel(BIAS))
    magnitude = np.abs(moved).mean((2, 3), keepdims=True) - 1
    scale = np.exp(by_channel(EXPONENT) * magnitude)
    codes = np.where(moved >= 0, 1.0, -1.0)
    np.testing.assert_allclose(out.detach(), codes * scale, atol=1e-13)
    into = gradient * scale * np.maximum(0, 2 - 2 * np.abs(moved))
    np.testing.assert_allclose(x.grad, into, atol=1e-13)
    expected = dict(
        exponent=gradient * codes * scale * magnitude, slope=-into * mean, bias=-into
    )
    for name, value in expected.items():
        found = binarize.get_parameter(name).grad
        np.testing.assert_allclose(found, value.sum((0, 2, 3)), atol=1e-12)


def test_one_sample_does_not_see_the_others(activations):
    x = torch.from_numpy(activations)
    alone = torch.cat([binarizer()(sample[None]) for sample in x])
    torch.testing.assert_close(binarizer()(x), alone, rtol=1e-14, atol=0)


def test_constants_zeros_and_the_start():
    zeros = torch.zeros(2, 4, 3, 3)
    neutral = torch.zeros(4)
    assert adaptive_shift(zeros, neutral + 1, neutral).eq(0).all()
    torch.testing.assert_close(
        adaptive_scale(zeros, neutral + 1).flatten(), torch.full((8,), -1.0).exp()
    )
    # A constant shifted by its own mean is at the threshold: the upper level.
    constant = torch.full((1, 4, 3, 3), 7.0)
    shift = adaptive_shift(constant, neutral + 1, neutral)
    assert (constant - shift).eq(0).all()
    method = get_method({"name": "bireal", "additions": ["bidense_binarizer"]})
    fresh = method.activation(512)
    assert 0 < fresh.exponent.std() < 2e-3
    assert 0 < fresh.slope.std() < 2e-3
    assert not fresh.bias.any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_lower_precision_keeps_dtype_and_stays_close(dtype):
    x = torch.randn(2, 4, 8, 8).to(dtype)
    scale = adaptive_scale(x, torch.from_numpy(EXPONENT))
    assert scale.dtype == binarizer(dtype)(x).dtype == dtype
    exact = adaptive_scale(x.double(), torch.from_numpy(EXPONENT))
    tolerance = 4 * torch.finfo(dtype).eps
    torch.testing.assert_close(scale.double(), exact, rtol=tolerance, atol=tolerance)


def naive_channels(x: np.ndarray, out_channels: int) -> np.ndarray:
    """The groups one by one."""
    channels = x.shape[1]
    out = [x[:, c] for _ in range(out_channels // channels) for c in range(channels)]
    merged = out_channels % channels
    for j in range(merged - 1):
        group = range(j, channels // merged * (merged - 1), merged - 1)
        out.append(np.mean([x[:, c] for c in group], axis=0))
    if merged:
        rest = range(channels // merged * (merged - 1), channels)
        out.append(np.mean([x[:, c] for c in rest], axis=0))
    return np.stack(out, 1)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7, 8])
@pytest.mark.parametrize("out_channels", [1, 2, 3, 4, 5, 8, 12, 16])
def test_channels_against_the_loop(channels, out_channels):
    x = torch.randn(2, channels, 3, 2, dtype=torch.float64)
    found = fit_channels(x, out_channels)
    np.testing.assert_allclose(found, naive_channels(x.numpy(), out_channels))
    same = fit_channels(torch.ones_like(x), out_channels)
    assert same.eq(1).all()


@pytest.mark.parametrize("shortcuts", ["per_conv", "per_block"])
def test_bypass_takes_the_place_of_the_projection(shortcuts):
    method = get_method({"name": "bireal", "additions": ["bidense_bypass"]})
    block = BasicBlock(method, 4, 8, stride=2, shortcuts=shortcuts)
    assert not list(block.downsample.parameters())
    x = torch.randn(2, 4, 7, 5)
    plain = BasicBlock(get_method("bireal"), 4, 8, stride=2, shortcuts=shortcuts)
    assert isinstance(plain.downsample, Downsample)
    assert block(x).shape == plain(x).shape == (2, 8, 4, 3)
    # The last pixel of an odd size is a mean of those that exist.
    corner = block.downsample(x)[:, :, -1, -1]
    assert torch.equal(corner, torch.cat([x[:, :, -1, -1]] * 2, 1))
    assert isinstance(BasicBlock(method, 4, 4).downsample, torch.nn.Identity)
