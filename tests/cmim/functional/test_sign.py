"""sign and its surrogate gradients against NumPy, on zeros and clip boundaries."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from cmim.functional.sign import approx_sign, sign, ste_sign

FLOATS = [torch.float32, torch.float64, torch.bfloat16]
every_float = pytest.mark.parametrize("dtype", FLOATS, ids=str)
every_surrogate = pytest.mark.parametrize("surrogate", [ste_sign, approx_sign])


def numpy_sign(x: np.ndarray) -> np.ndarray:
    return np.where(x >= 0, 1.0, -1.0)


def numpy_ste_gradient(x: np.ndarray, clip: float) -> np.ndarray:
    return np.where((x < -clip) | (x > clip), 0.0, 1.0)


def numpy_approx_gradient(x: np.ndarray) -> np.ndarray:
    """Derivative of Bi-Real Net's Eq. 3, case by case."""
    rising, falling = (x >= -1) & (x < 0), (x >= 0) & (x < 1)
    slope = np.zeros_like(x)
    slope[rising] = 2 + 2 * x[rising]
    slope[falling] = 2 - 2 * x[falling]
    return slope


def boundary_values(dtype: torch.dtype, clip: float = 1.0) -> Tensor:
    """Both zeros, +-clip and its neighbours, infinities, and random values."""
    info = torch.finfo(dtype)
    # clip is a power of two: these are exactly the next values below and above.
    edges = [0.0, info.smallest_normal, clip * (1 - info.eps / 2), clip]
    edges += [clip * (1 + info.eps), info.max, math.inf]
    random = torch.randn(40, generator=torch.Generator().manual_seed(0)).double()
    values = torch.cat([torch.tensor(edges, dtype=torch.float64), random])
    return torch.cat([values, -values]).to(dtype).reshape(2, -1)


def upstream_gradient(x: Tensor) -> Tensor:
    """Distinct powers of two of both signs, so that products with them are exact."""
    powers = torch.arange(x.numel(), dtype=torch.float64) % 5 - 2
    signs = 1 - 2 * (torch.arange(x.numel()) % 2)
    return (2**powers * signs).reshape(x.shape).to(x.dtype)


def assert_forward_and_gradient(
    function: Callable[[Tensor], Tensor], x: Tensor, slope: np.ndarray
) -> None:
    """``function`` is sign, and its gradient ``slope`` times the upstream one."""
    x = x.clone().requires_grad_()
    exact = x.detach().double().numpy()
    upstream = upstream_gradient(x)
    y = function(x)
    y.backward(upstream)
    expected = torch.from_numpy(upstream.double().numpy() * slope).to(x.dtype)
    assert y.dtype == x.grad.dtype == x.dtype
    assert torch.equal(y.detach().double(), torch.from_numpy(numpy_sign(exact)))
    assert torch.equal(x.grad, expected)


def test_data_has_exact_zeros_of_both_signs_and_boundary_neighbours():
    for dtype in FLOATS:
        x = boundary_values(dtype).flatten()
        zeros = x[x == 0]
        assert zeros.signbit().tolist() == [False, True]
        near = x[((x - 1).abs() < 0.01) & (x != 1)].sort().values
        one = torch.ones((), dtype=dtype)
        assert near[0] == torch.nextafter(one, -one)
        assert near[-1] == torch.nextafter(one, 2 * one)


@pytest.mark.parametrize("dtype", [*FLOATS, torch.float16], ids=str)
def test_sign_equals_numpy_and_keeps_dtype_and_shape(dtype):
    x = boundary_values(dtype)
    codes = sign(x)
    assert codes.dtype == dtype
    assert codes.shape == x.shape
    assert torch.equal(codes.double(), torch.from_numpy(numpy_sign(x.double().numpy())))


@pytest.mark.parametrize("dtype", [*FLOATS, torch.float16], ids=str)
def test_sign_of_zeros_infinities_and_nan_by_hand(dtype):
    x = torch.tensor([0.0, -0.0, math.inf, -math.inf, math.nan, -1e-30], dtype=dtype)
    codes = sign(x)
    underflow = 1.0 if x[5] == 0 else -1.0  # -1e-30 is -0.0 in half precision
    assert codes[[0, 1, 2, 3, 5]].tolist() == [1, 1, 1, -1, underflow]
    assert codes[4].isnan()


@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (1, 2, 3, 4)], ids=str)
@pytest.mark.parametrize("function", [sign, ste_sign, approx_sign])
def test_any_shape(function, shape):
    assert function(torch.zeros(shape)).shape == shape


@pytest.mark.parametrize("function", [sign, ste_sign, approx_sign])
def test_input_is_left_alone_and_may_be_strided(function):
    x = boundary_values(torch.float32)
    before = x.clone()
    codes = function(x.t())
    assert torch.equal(x, before)
    assert torch.equal(codes, sign(before).t())


def test_sign_itself_has_zero_derivative():
    x = boundary_values(torch.float32).requires_grad_()
    sign(x).sum().backward()
    assert torch.equal(x.grad, torch.zeros_like(x))


@every_float
@pytest.mark.parametrize("clip", [0.5, 1.0, 2.0])
def test_ste_sign_equals_numpy(dtype, clip):
    x = boundary_values(dtype, clip)
    slope = numpy_ste_gradient(x.double().numpy(), clip)
    assert_forward_and_gradient(lambda x: ste_sign(x, clip), x, slope)


@every_float
def test_ste_sign_clips_at_one_by_default(dtype):
    x = boundary_values(dtype)
    slope = numpy_ste_gradient(x.double().numpy(), 1.0)
    assert_forward_and_gradient(ste_sign, x, slope)


@every_float
def test_approx_sign_equals_numpy(dtype):
    x = boundary_values(dtype)
    assert_forward_and_gradient(
        approx_sign, x, numpy_approx_gradient(x.double().numpy())
    )


def test_approx_gradient_is_the_derivative_of_the_papers_polynomial():
    """Eq. 3: F(x) = 2x + x^2 below zero and 2x - x^2 above, -1 or +1 outside."""
    x = torch.linspace(-1.495, 1.505, 200, dtype=torch.float64, requires_grad=True)
    bend = torch.where(x < 0, 2 * x + x**2, 2 * x - x**2)
    polynomial = torch.where(x.abs() < 1, bend, x.sign())
    (slope,) = torch.autograd.grad(polynomial.sum(), x)
    approx_sign(x).sum().backward()
    torch.testing.assert_close(x.grad, slope, rtol=0, atol=1e-14)


# NaN is never hidden: the code stays NaN, so the loss and with it the gradient that
# comes back are NaN; a finite gradient that comes back all the same is cut off by the
# window of ste_sign and turned into NaN by approx_sign.
@every_float
@every_surrogate
def test_nan_input_stays_nan_forward(surrogate, dtype):
    x = torch.tensor([math.nan, 0.5], dtype=dtype)
    assert surrogate(x).isnan().tolist() == [True, False]


@every_float
@every_surrogate
def test_nan_that_comes_back_stays_nan_inside_and_outside_the_window(surrogate, dtype):
    x = torch.tensor([math.nan, 0.5, 3.0], dtype=dtype, requires_grad=True)
    surrogate(x).backward(torch.full_like(x, math.nan))
    assert x.grad.isnan().all()


@every_float
def test_finite_gradient_at_a_nan_input(dtype):
    x = torch.tensor([math.nan], dtype=dtype, requires_grad=True)
    (cut,) = torch.autograd.grad(ste_sign(x).sum(), x)
    (kept,) = torch.autograd.grad(approx_sign(x).sum(), x)
    assert cut.tolist() == [0.0]
    assert kept.isnan().all()


def saved_for_backward(function: Callable[[Tensor], Tensor], x: Tensor) -> list[Tensor]:
    saved: list[Tensor] = []

    def pack(tensor: Tensor) -> Tensor:
        saved.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        function(x)
    return saved


def test_ste_sign_saves_one_byte_an_element():
    saved = saved_for_backward(ste_sign, torch.randn(50, requires_grad=True))
    assert [(t.dtype, t.shape) for t in saved] == [(torch.bool, (50,))]


def test_approx_sign_saves_its_input_without_a_copy():
    x = torch.randn(50, requires_grad=True)
    saved = saved_for_backward(approx_sign, x)
    assert [t.data_ptr() for t in saved] == [x.data_ptr()]
