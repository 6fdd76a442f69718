"""Convolution of codes against torch's, what it keeps, and its integer short cut."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from cmim.functional import integer_conv
from cmim.functional.bits import pack_bits, unpack_bits
from cmim.functional.code_conv import code_conv2d
from cmim.functional.integer_conv import integer_conv2d, power_of_two_magnitudes

FLOATS = [torch.float32, torch.float64, torch.bfloat16]
every_float = pytest.mark.parametrize("dtype", FLOATS, ids=str)
every_levels = pytest.mark.parametrize("levels", [(-1, 1), (0, 1), (-1, 3)], ids=str)
GEOMETRIES = [
    ((1, 1), (0, 0), (1, 1)),
    ((1, 1), (1, 1), (1, 1)),
    ((2, 2), (1, 1), (1, 1)),
    ((1, 1), (2, 2), (2, 2)),
    ((2, 1), (4, 0), (4, 1)),
]
every_geometry = pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
every_scale = pytest.mark.parametrize("power_of_two", [True, False])


def random_codes(levels: tuple[int, int], shape=(2, 5, 11, 9)) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    up = torch.rand(shape, generator=generator) < 0.5
    return torch.where(up, float(levels[1]), float(levels[0]))


def scaled_signs(power_of_two: bool, shape=(4, 5, 3, 3)) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    scale = 0.1 + torch.rand((shape[0], 1, 1, 1), generator=generator)
    if power_of_two:
        scale = 2.0 ** torch.arange(-2, shape[0] - 2).view(-1, 1, 1, 1)
    return scale * torch.randn(shape, generator=generator).sign()


def outcome(function, codes: Tensor, weight: Tensor, *args) -> list[Tensor]:
    """Output, and gradients of codes and weights for a gradient of distinct values."""
    codes, weight = codes.clone().requires_grad_(), weight.clone().requires_grad_()
    out = function(codes, weight, *args)
    upstream = torch.arange(out.numel()).view(out.shape).sin().to(out.dtype)
    out.backward(upstream.contiguous())
    return [out.detach(), codes.grad, weight.grad]


def plain(codes: Tensor, weight: Tensor, levels, *geometry) -> Tensor:
    return F.conv2d(codes, weight, None, *geometry)


@every_float
@every_levels
@every_geometry
@every_scale
def test_output_and_gradients_are_those_of_conv2d(
    dtype, levels, geometry, power_of_two
):
    codes = random_codes(levels).to(dtype)
    weight = scaled_signs(power_of_two).to(dtype)
    ours = outcome(code_conv2d, codes, weight, levels, *geometry)
    theirs = outcome(plain, codes, weight, levels, *geometry)
    for found, expected in zip(ours, theirs, strict=True):
        assert found.dtype == dtype
        assert torch.equal(found, expected)


@every_levels
@every_scale
@pytest.mark.parametrize("size", [(11, 9), (1, 1)], ids=str)
def test_channels_last_stays_channels_last(levels, power_of_two, size):
    codes = random_codes(levels, (2, 5, *size))
    codes = codes.contiguous(memory_format=torch.channels_last)
    args = (codes, scaled_signs(power_of_two), levels, (1, 1), (1, 1))
    ours, theirs = outcome(code_conv2d, *args), outcome(plain, *args)
    for found, expected in zip(ours, theirs, strict=True):
        assert torch.equal(found, expected)
        if size != (1, 1):  # of one pixel the strides say nothing
            assert found.stride() == expected.stride()


def test_input_of_any_stride():
    codes = random_codes((-1, 1), (5, 2, 11, 9)).transpose(0, 1)
    args = (codes, scaled_signs(False), (-1, 1), (1, 1), (1, 1))
    for found, expected in zip(
        outcome(code_conv2d, *args), outcome(plain, *args), strict=True
    ):
        assert torch.equal(found, expected)


@every_scale
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_under_autocast_it_is_conv2d_under_autocast(power_of_two, dtype):
    codes, weight = random_codes((-1, 1)).to(dtype), scaled_signs(power_of_two)
    args = (codes, weight.to(dtype), (-1, 1))
    with torch.autocast("cpu", torch.bfloat16):
        ours, theirs = outcome(code_conv2d, *args), outcome(plain, *args)
    assert [t.dtype for t in ours] == [t.dtype for t in theirs]
    for found, expected in zip(ours, theirs, strict=True):
        assert torch.equal(found, expected)


def kept(codes: Tensor, weight: Tensor) -> list[tuple[torch.dtype, int]]:
    seen: list[tuple[torch.dtype, int]] = []

    def pack(tensor: Tensor) -> Tensor:
        seen.append((tensor.dtype, tensor.numel()))
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        code_conv2d(codes, weight, (-1, 1))
    return seen


def test_one_bit_a_code_is_kept():
    weight = scaled_signs(False).requires_grad_()
    codes = random_codes((-1, 1)).requires_grad_()
    assert kept(codes, weight) == [
        (torch.uint8, -(-codes.numel() // 8)),
        (torch.float32, weight.numel()),
        (torch.float32, 5),
    ]


@every_scale
def test_nan_reaches_output_and_the_gradient_of_its_channels_weights(power_of_two):
    codes, weight = random_codes((-1, 1)), scaled_signs(power_of_two)
    codes[1, 2, 5, 5] = torch.nan
    out, _, gradient = outcome(code_conv2d, codes, weight, (-1, 1))
    assert torch.equal(out.isnan(), plain(codes, weight, None).isnan())
    assert out.isnan().any()
    assert gradient[:, 2].isnan().all()
    assert not gradient[:, [0, 1, 3, 4]].isnan().any()


@every_scale
def test_an_empty_batch_gives_zero_gradients(power_of_two):
    weight = scaled_signs(power_of_two).requires_grad_()
    code_conv2d(torch.zeros(0, 5, 6, 6), weight, (-1, 1)).sum().backward()
    assert torch.equal(weight.grad, torch.zeros_like(weight))


def test_a_second_derivative_is_refused():
    weight = scaled_signs(False).requires_grad_()
    out = code_conv2d(random_codes((-1, 1)), weight, (-1, 1))
    (gradient,) = torch.autograd.grad(out.square().sum(), weight, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 64, 1001])
@pytest.mark.parametrize("dtype", [torch.bool, torch.int8, torch.uint8], ids=str)
def test_bits_return_in_order(count, dtype):
    generator = torch.Generator().manual_seed(count)
    flags = torch.randint(0, 2, (count,), generator=generator).to(dtype)
    packed = pack_bits(flags)
    assert packed.shape == (-(-count // 8),)
    assert torch.equal(unpack_bits(packed, count), flags.to(torch.int8))


def test_every_byte_is_its_own_bits():
    packed = torch.arange(256).to(torch.uint8)
    assert torch.equal(pack_bits(unpack_bits(packed, 2048)), packed)


@every_levels
@every_geometry
def test_integers_give_the_bits_of_float32(levels, geometry):
    if not integer_conv.available():
        pytest.skip("this torch has no 8-bit convolution")
    codes = random_codes(levels, (2, 64, 11, 9))
    weight = scaled_signs(True, (4, 64, 3, 3))
    steps = (codes - levels[0]).to(torch.uint8)
    out = integer_conv2d(steps, levels[0], weight, *geometry)
    assert torch.equal(out, F.conv2d(codes, weight, None, *geometry))


def test_weights_that_are_no_powers_of_two_take_the_other_way():
    assert power_of_two_magnitudes(scaled_signs(False)) is None
    steps = torch.zeros(1, 5, 4, 4, dtype=torch.uint8)
    geometry = ((1, 1), (0, 0), (1, 1))
    assert integer_conv2d(steps, -1, scaled_signs(False), *geometry) is None


@pytest.mark.parametrize("bad", [0.0, torch.nan, torch.inf, 0.5])
def test_one_odd_weight_is_seen(bad):
    weight = scaled_signs(True)
    weight[3, 1, 2, 2] = bad
    assert power_of_two_magnitudes(weight) is None
    weight[3] = bad
    assert (power_of_two_magnitudes(weight) is None) == (bad != 0.5)


def test_without_8_bit_convolution_the_result_is_the_same(monkeypatch):
    args = (random_codes((-1, 1)), scaled_signs(True), (-1, 1))
    with_integers = outcome(code_conv2d, *args)
    monkeypatch.setattr(integer_conv, "available", lambda: False)
    for found, expected in zip(outcome(code_conv2d, *args), with_integers, strict=True):
        assert torch.equal(found, expected)


def test_the_self_test_survives_a_torch_without_the_operator(monkeypatch):
    def missing(*args):
        raise AttributeError("qconv_prepack")

    monkeypatch.setattr(integer_conv, "_integer_conv2d", missing)
    assert not integer_conv.available.__wrapped__()


@pytest.mark.parametrize("channels", [28, 64])
def test_bfloat16_sums_of_signs_are_exact_to_256_and_rounded_once_above(channels):
    """28 x 9 products reach 252; 64 x 9 reach 576, stored in steps of 2 or 4."""
    codes = random_codes((-1, 1), (2, channels, 8, 8))
    codes[0] = 1
    weight = random_codes((-1, 1), (4, channels, 3, 3))
    weight[0] = 1
    exact = F.conv2d(codes.double(), weight.double())
    out = F.conv2d(codes.bfloat16(), weight.bfloat16())
    assert exact.abs().max() == channels * 9
    assert torch.equal(out, exact.bfloat16())
    small = exact.abs() <= 256
    assert torch.equal(out.double()[small], exact[small])
