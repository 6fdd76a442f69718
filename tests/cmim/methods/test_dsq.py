"""DSQ against NumPy: two levels, and the gradients of value, range and alpha."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from cmim.functional.soft_quantize import soft_two_levels
from cmim.methods import get_method

RANGES = [(0.0, 1.0, 0.2), (0.3, 0.7, 0.05), (-0.5, 2.0, 0.9)]
every_range = pytest.mark.parametrize(("middle", "half", "alpha"), RANGES)


def numpy_soft(x, lower, upper, alpha):
    """The paper's soft quantizer of one interval, from the ends of the range."""
    width = upper - lower
    k = math.log(2 / alpha - 1) / width
    s = 1 / math.tanh(k * width / 2)
    phi = s * np.tanh(k * (np.clip(x, lower, upper) - (lower + upper) / 2))
    return phi, k, s


def edges_of(values, lower, upper):
    values = values.copy()
    edges = [lower, upper, np.nextafter(lower, -9), np.nextafter(upper, 9)]
    values.reshape(3, -1)[:, 13:17] = edges
    return values


@every_range
def test_values_and_the_gradient_of_the_input(
    activations, upstream, middle, half, alpha
):
    lower, upper = middle - half, middle + half
    values = edges_of(activations, lower, upper)
    x = torch.from_numpy(values).requires_grad_()
    scalars = [torch.tensor(v, dtype=torch.float64) for v in (middle, half, alpha)]
    codes = soft_two_levels(x, *scalars)
    gradient = upstream(values.shape)
    codes.backward(torch.from_numpy(gradient))
    expected = np.where(values >= middle, upper, lower)
    np.testing.assert_array_equal(codes.detach(), expected)

    _, k, s = numpy_soft(values, lower, upper, alpha)
    slope = half * s * k / np.cosh(k * (values - middle)) ** 2
    inside = (values >= lower) & (values <= upper)
    # The ends of a range that is not a binary fraction are not hit exactly.
    sure = (
        np.abs(np.abs(values - middle) - half) > 1e-9 if middle else np.isfinite(values)
    )
    np.testing.assert_allclose(
        x.grad[sure], (gradient * slope * inside)[sure], rtol=1e-9
    )


@every_range
def test_range_and_alpha_get_the_gradient_of_the_soft_curve(
    activations, upstream, middle, half, alpha
):
    """sign(phi) counts as a value, phi as what depends on range and alpha."""
    gradient = upstream(activations.shape)
    # The clip has a kink there, where differences say nothing.
    gradient[np.abs(np.abs(activations - middle) - half) < 1e-4] = 0
    scalars = [
        torch.tensor(v, dtype=torch.float64, requires_grad=True)
        for v in (middle, half, alpha)
    ]
    codes = soft_two_levels(torch.from_numpy(activations), *scalars)
    codes.backward(torch.from_numpy(gradient))

    signs = np.where(activations >= middle, 1.0, -1.0)

    def surrogate(middle_, half_, alpha_):
        phi, _, _ = numpy_soft(activations, middle_ - half_, middle_ + half_, alpha_)
        frozen, _, _ = numpy_soft(activations, middle - half, middle + half, alpha)
        return (gradient * (middle_ + half_ * (signs + phi - frozen))).sum()

    start, step = (middle, half, alpha), 1e-6
    for i, scalar in enumerate(scalars):
        ends = [
            surrogate(*(v + sign * step * (i == j) for j, v in enumerate(start)))
            for sign in (1, -1)
        ]
        numeric = (ends[0] - ends[1]) / (2 * step)
        assert scalar.grad.item() == pytest.approx(numeric, rel=1e-6, abs=1e-7), i


def test_by_hand():
    """alpha = 2/(e^2 + 1): k h = 1, so phi(a) = tanh(a)/tanh(1) on [-1, 1]."""
    alpha = 2 / (math.exp(2) + 1)
    method = get_method({"name": "dsq", "alpha": alpha, "alpha_max": 0.99})
    x = torch.tensor([[-2.0, -0.0, 0.5]], dtype=torch.float64, requires_grad=True)
    codes = method.activation(3).double()(x)
    codes.sum().backward()
    assert codes.tolist() == [[-1.0, 1.0, 1.0]]
    slopes = [0, 1 / math.tanh(1), (1 - math.tanh(0.5) ** 2) / math.tanh(1)]
    assert x.grad.flatten().tolist() == pytest.approx(slopes, rel=1e-6)


@pytest.mark.parametrize("alpha", [0.01, 0.45])
def test_learned_numbers_start_where_they_are_told(alpha):
    method = get_method({"name": "dsq", "alpha": alpha})
    for binarizer in (method.activation(4), method.weight((8, 2, 3, 3))):
        middle, half, found = binarizer.range()
        assert middle.item() == 0
        assert found.item() == pytest.approx(alpha, rel=1e-5)
    assert half.item() == pytest.approx(3 * math.sqrt(2 / 72))


def test_no_step_of_the_optimizer_leaves_the_domain():
    binarizer = get_method("dsq").activation(4)
    for value in (-50.0, 0.0, 50.0):
        for parameter in binarizer.parameters():
            torch.nn.init.constant_(parameter, value)
        _, half, alpha = binarizer.range()
        assert half > 0
        assert 0 <= alpha <= 0.5


def test_a_fixed_range_learns_alpha_alone_and_is_the_sign():
    method = get_method({"name": "dsq", "learn_range": False})
    binarizer = method.activation(4)
    assert [name for name, _ in binarizer.named_parameters()] == ["range.alpha_logit"]
    assert list(binarizer.state_dict()) == ["range.alpha_logit"]
    x = torch.randn(2, 4, 3, 3, requires_grad=True)
    codes = binarizer(x)
    codes.square().sum().backward()
    assert codes.unique().tolist() == [-1, 1]
    assert binarizer.range.alpha_logit.grad != 0
    assert x.grad.abs().sum() > 0
    weight = method.weight((8, 2, 3, 3))
    assert weight.double()(torch.randn(8, 2, 3, 3).double()).dtype == torch.float64


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_activations_of_another_dtype_keep_it(dtype):
    """Under autocast the activations are bfloat16, the learned numbers float32."""
    binarizer = get_method("dsq").activation(4)
    x = torch.randn(2, 4, 3, 3, dtype=dtype, requires_grad=True)
    codes = binarizer(x)
    codes.backward(torch.randn(x.shape).to(dtype))
    assert codes.dtype == x.grad.dtype == dtype
    assert all(p.grad.dtype == torch.float32 for p in binarizer.parameters())


def test_constant_and_zero_weights_have_finite_gradients():
    for value in (0.0, 3.0):
        binarizer = get_method("dsq").weight((2, 2, 3, 3))
        weight = torch.full((2, 2, 3, 3), value, requires_grad=True)
        binary = binarizer(weight)
        binary.sum().backward()
        assert (binary > 0).all()
        assert weight.grad.isfinite().all()
        assert all(p.grad.isfinite() for p in binarizer.parameters())


def test_activations_keep_their_input_and_no_copy():
    x = torch.randn(2, 4, 5, 5, requires_grad=True)
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(saved.append, lambda t: t):
        get_method("dsq").activation(4)(x)
    assert [t.data_ptr() for t in saved if t.dim()] == [x.data_ptr()]


@pytest.mark.parametrize(
    "options", [{"alpha": 0.0}, {"alpha": 0.5}, {"alpha_max": 1.5}, {"alpha_max": 0.1}]
)
def test_alpha_must_lie_below_its_bound(options):
    with pytest.raises(ValueError, match="needs 0 < alpha < alpha_max <= 1"):
        get_method({"name": "dsq", **options})


def test_half_precision_sums_do_not_overflow():
    torch.manual_seed(0)
    x, gradient = torch.randn(4, 16, 64, 64) / 3, torch.rand(4, 16, 64, 64)
    x, gradient = x.half(), gradient.half()
    found = []
    for dtype in (torch.float16, torch.float64):
        learned = [torch.tensor(v, requires_grad=True) for v in (0.1, 1.0, 0.4)]
        soft_two_levels(x.to(dtype), *learned).backward(gradient.to(dtype))
        found.append(torch.stack([v.grad for v in learned]))
    torch.testing.assert_close(found[0], found[1], rtol=0.02, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_alpha_that_grew_to_its_bound_leaves_a_slope(dtype):
    method = get_method({"name": "dsq", "alpha_max": 1.0})
    binarizer = method.activation(4).to(dtype)
    for name, parameter in binarizer.named_parameters():
        if name.endswith("alpha_logit"):
            parameter.data.fill_(100.0)
    x = torch.linspace(-2, 2, 64).view(1, 4, 16).to(dtype).requires_grad_()
    binarizer(x).sum().backward()
    assert x.grad.isfinite().all()
    assert all(p.grad.isfinite().all() for p in binarizer.parameters())
