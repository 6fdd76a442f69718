"""Scaling factors and the gradient of ``scale * sign(w)`` against NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from cmim.functional.weight_scale import mean_abs_per_filter, scaled_sign

FLOATS = [torch.float32, torch.float64, torch.bfloat16]
every_float = pytest.mark.parametrize("dtype", FLOATS, ids=str)
both_modes = pytest.mark.parametrize("magnitude_aware", [False, True])


def boundary_weights(dtype: torch.dtype) -> Tensor:
    """Three filters with both zeros, +-1 and its neighbours, and random values."""
    eps = torch.finfo(dtype).eps
    edges = torch.tensor([0.0, 1 - eps / 2, 1.0, 1 + eps], dtype=torch.float64)
    random = torch.randn(28, generator=torch.Generator().manual_seed(0)).double()
    values = torch.cat([edges, -edges, random])
    return values.to(dtype).reshape(3, 1, 3, 4)


def numpy_scaled_sign(
    weight: np.ndarray, scale: np.ndarray, upstream: np.ndarray, magnitude_aware: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Values and gradients, weight by weight."""
    values, gradients = np.empty_like(weight), np.empty_like(weight)
    for place, w in np.ndenumerate(weight):
        alpha = scale[place[0]].item()
        values[place] = alpha if w >= 0 else -alpha
        slope = 1.0 if -1 <= w <= 1 else 0.0
        gradients[place] = upstream[place] * slope * (alpha if magnitude_aware else 1)
    return values, gradients


def test_mean_abs_by_hand():
    weight = torch.tensor([[[[1.0, -3.0]]], [[[0.0, -0.5]]]])
    assert torch.equal(mean_abs_per_filter(weight).flatten(), torch.tensor([2.0, 0.25]))


@every_float
@pytest.mark.parametrize("shape", [(4, 6), (4, 3, 5), (4, 3, 2, 5)], ids=str)
def test_mean_abs_equals_a_loop_over_filters(shape, dtype):
    torch.manual_seed(0)
    weight = torch.randn(shape).to(dtype)
    scale = mean_abs_per_filter(weight)
    assert scale.shape == (4, *[1] * (len(shape) - 1))
    assert scale.dtype == dtype
    naive = [np.abs(f).sum() / f.size for f in weight.double().numpy()]
    expected = torch.tensor(naive, dtype=torch.float64)
    tolerance = torch.finfo(dtype).eps
    torch.testing.assert_close(
        scale.flatten().double(), expected, rtol=tolerance, atol=0
    )


def test_scale_ignores_signs_and_follows_magnitude():
    torch.manual_seed(0)
    weight = torch.randn(4, 3, 3, 3)
    scale = mean_abs_per_filter(weight)
    assert torch.equal(mean_abs_per_filter(-weight), scale)
    assert torch.equal(mean_abs_per_filter(4 * weight), 4 * scale)


@every_float
@both_modes
def test_scaled_sign_equals_numpy(dtype, magnitude_aware):
    weight = boundary_weights(dtype).requires_grad_()
    # Powers of two: every product is exact in every dtype.
    scale = torch.tensor([0.25, 2.0, 0.5], dtype=dtype).view(3, 1, 1, 1)
    powers = torch.arange(weight.numel()) % 5 - 2.0
    upstream = (2**powers * powers.sign()).reshape(weight.shape).to(dtype)
    binary = scaled_sign(weight, scale, magnitude_aware)
    binary.backward(upstream)
    values, gradients = numpy_scaled_sign(
        weight.detach().double().numpy(),
        scale.double().numpy(),
        upstream.double().numpy(),
        magnitude_aware,
    )
    assert binary.dtype == weight.grad.dtype == dtype
    assert torch.equal(binary.detach().double(), torch.from_numpy(values))
    assert torch.equal(weight.grad.double(), torch.from_numpy(gradients))


@every_float
def test_zeros_count_as_plus_one(dtype):
    weight = torch.tensor([[0.0, -0.0]], dtype=dtype)
    scale = torch.tensor([[0.5]], dtype=dtype)
    assert scaled_sign(weight, scale).tolist() == [[0.5, 0.5]]


def test_gradient_is_not_scaled_by_default():
    weight = torch.zeros(1, 2, requires_grad=True)
    scaled_sign(weight, torch.tensor([[8.0]])).sum().backward()
    assert weight.grad.tolist() == [[1.0, 1.0]]


@both_modes
def test_no_gradient_flows_through_the_scale(magnitude_aware):
    weight = torch.randn(2, 3, requires_grad=True)
    scale = torch.ones(2, 1, requires_grad=True)
    scaled_sign(weight, scale, magnitude_aware).sum().backward()
    assert weight.grad is not None
    assert scale.grad is None


def test_all_zero_filter_gives_zero_and_not_nan():
    weight = torch.zeros(1, 4)
    binary = scaled_sign(weight, mean_abs_per_filter(weight))
    assert torch.equal(binary, weight)


def test_nan_weight_is_seen_in_its_own_filter_only():
    weight = torch.tensor([[1.0, math.nan], [1.0, 0.5]])
    binary = scaled_sign(weight, mean_abs_per_filter(weight))
    assert binary.isnan().tolist() == [[True, True], [False, False]]


@pytest.mark.parametrize(
    ("magnitude_aware", "expected"),
    [(False, [torch.bool]), (True, [torch.bool, torch.float32])],
)
def test_backward_keeps_a_mask_and_never_the_weights(magnitude_aware, expected):
    weight = torch.randn(2, 300, requires_grad=True)
    saved: list[Tensor] = []
    hooks = (lambda t: saved.append(t) or t, lambda t: t)
    with torch.autograd.graph.saved_tensors_hooks(*hooks):
        scaled_sign(weight, torch.ones(2, 1), magnitude_aware)
    assert [t.dtype for t in saved] == expected
    assert all(t.numel() == 2 for t in saved if t.dtype != torch.bool)
