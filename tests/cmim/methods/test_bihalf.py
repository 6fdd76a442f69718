"""Bi-half against NumPy: halves by rank, gradients, ties, and what half means."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from cmim.functional.equal_bits import equal_bits
from cmim.methods import get_method


def numpy_half(weights: np.ndarray) -> np.ndarray:
    """One weight after another, the earlier of two equal ones being the smaller."""
    codes = np.ones((len(weights), weights[0].size))
    for filter_codes, values in zip(codes, weights.reshape(codes.shape), strict=True):
        for i, value in enumerate(values):
            rank = (values < value).sum() + (values[:i] == value).sum()
            if rank < len(values) // 2:
                filter_codes[i] = -1.0
    return codes.reshape(weights.shape)


@pytest.mark.parametrize("columns", [3, 2])
def test_weights_and_gradient(weights, upstream, columns):
    """With filters of 18, and of 12 with exact zeros of both signs."""
    weights = weights[..., :columns].copy()
    binarize = get_method("bihalf").weight(weights.shape).double()
    weight = torch.from_numpy(weights).requires_grad_()
    binary = binarize(weight)
    gradient = upstream(weights.shape)
    binary.backward(torch.from_numpy(gradient))
    factor = math.sqrt(2 / weights[0].size)
    np.testing.assert_allclose(
        binary.detach(), factor * numpy_half(weights), rtol=1e-15
    )
    np.testing.assert_allclose(weight.grad, factor * gradient, rtol=1e-15)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("count", [1, 2, 7, 16])
def test_halves_are_equal_up_to_one(count, dtype):
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(50, count, generator=generator).abs().to(dtype)
    codes = equal_bits(weight)
    assert codes.dtype == dtype
    assert (codes.sum(1) == count % 2).all()


def test_zeros_and_equal_weights_are_ranked_in_their_order():
    weight = torch.tensor([[0.0, -0.0, 0.0, -0.0], [1.0, 0.5, 1.0, 1.0]])
    assert equal_bits(weight).tolist() == [[-1, -1, 1, 1], [-1, -1, 1, 1]]


def test_it_is_the_transport_of_least_cost():
    generator = np.random.default_rng(0)
    for _ in range(20):
        values = generator.normal(size=6)
        costs = {}
        for chosen in itertools.combinations(range(6), 3):
            codes = -np.ones(6)
            codes[list(chosen)] = 1.0
            costs[tuple(codes)] = ((values - codes) ** 2).sum()
        found = equal_bits(torch.from_numpy(values)[None])[0]
        assert tuple(found.tolist()) == min(costs, key=costs.__getitem__)


def test_a_shift_of_a_filter_changes_no_code(weights):
    w = torch.from_numpy(weights)
    assert torch.equal(equal_bits(w), equal_bits(3 * w + 7))


def test_activations_are_signs_with_a_window(activations, upstream):
    x = torch.from_numpy(activations).requires_grad_()
    codes = get_method("bihalf").activation(4)(x)
    gradient = upstream(activations.shape)
    codes.backward(torch.from_numpy(gradient))
    np.testing.assert_array_equal(codes.detach(), np.where(activations >= 0, 1.0, -1.0))
    np.testing.assert_array_equal(x.grad, gradient * (np.abs(activations) <= 1))
