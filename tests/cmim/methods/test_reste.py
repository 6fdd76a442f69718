"""ReSTE against NumPy: the rectified root's slope, the mean's gradient, the ReLU."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from cmim.functional.power_sign import power_at, power_sign
from cmim.layers import BasicBlock
from cmim.methods import get_method

POWERS = {0.0: 1.0, 0.5: 1 + 2 * (1 - math.sqrt(0.5)), 1.0: 3.0}
every_progress = pytest.mark.parametrize("progress", list(POWERS))
# Where the slope turns: the secant's end and the limit, their neighbours in float64.
TURNS = [0.1, np.nextafter(0.1, 1), 1.5, np.nextafter(1.5, 2), 0.0]


def with_turns(values: np.ndarray) -> np.ndarray:
    turns = np.array([*TURNS, *(-t for t in TURNS)])
    values.reshape(-1)[20 : 20 + len(turns)] = turns
    return values


def numpy_slope(x: np.ndarray, power: float) -> np.ndarray:
    slope = np.zeros_like(x)
    for at, value in np.ndenumerate(np.abs(x)):
        if value <= 0.1:
            slope[at] = 0.1 ** (1 / power) / 0.1
        elif value <= 1.5:
            slope[at] = value ** ((1 - power) / power) / power
    return slope


@every_progress
def test_power_rises_from_one_to_its_end(progress):
    found = power_at(torch.tensor(progress, dtype=torch.float64), 3.0)
    assert found.item() == pytest.approx(POWERS[progress], abs=1e-12)


@every_progress
def test_activations_and_their_slope(activations, upstream, progress):
    activations = with_turns(activations)
    binarize = get_method("reste").activation(4).double()
    binarize.set_progress(progress)
    x, gradient = torch.from_numpy(activations).requires_grad_(), upstream((3, 4, 3, 3))
    codes = binarize(x)
    codes.backward(torch.from_numpy(gradient))
    np.testing.assert_array_equal(codes.detach(), np.where(activations >= 0, 1.0, -1.0))
    expected = gradient * numpy_slope(activations, POWERS[progress])
    np.testing.assert_allclose(x.grad, expected, rtol=1e-13, atol=0)
    assert (x.grad == 0).any()


@every_progress
def test_weights_and_the_gradient_through_the_mean(weights, upstream, progress):
    weights = with_turns(weights)
    binarize = get_method("reste").weight(weights.shape).double()
    binarize.set_progress(progress)
    weight = torch.from_numpy(weights).requires_grad_()
    gradient = upstream(weights.shape)
    binary = binarize(weight)
    binary.backward(torch.from_numpy(gradient))
    codes, mean = np.where(weights >= 0, 1.0, -1.0), np.abs(weights).mean()
    np.testing.assert_allclose(binary.detach(), mean * codes, rtol=1e-14)
    along = np.sign(weights) * (gradient * codes).sum() / weights.size
    expected = gradient * mean * numpy_slope(weights, POWERS[progress]) + along
    np.testing.assert_allclose(weight.grad, expected, rtol=1e-11, atol=1e-12)


def test_bfloat16_keeps_its_type_and_turns(activations, upstream):
    x = torch.from_numpy(with_turns(activations)).bfloat16().requires_grad_()
    gradient = torch.from_numpy(upstream(activations.shape)).bfloat16()
    codes = power_sign(x, torch.tensor(3.0))
    codes.backward(gradient)
    assert codes.dtype == x.grad.dtype == torch.bfloat16
    exact = x.detach().double().numpy()
    np.testing.assert_array_equal(
        codes.detach().double().numpy(), np.where(exact >= 0, 1.0, -1.0)
    )
    # bfloat16(0.1) is 0.1001: it stands for the end of the secant.
    exact[np.abs(exact) == float(torch.tensor(0.1).bfloat16())] *= 0.99
    expected = gradient.double().numpy() * numpy_slope(exact, 3.0)
    np.testing.assert_allclose(x.grad.double().numpy(), expected, rtol=0.03)


def test_with_power_one_it_is_the_clipped_straight_through_gradient():
    x = torch.tensor([0.0, 0.05, 0.7, 1.5, 1.6], requires_grad=True)
    power_sign(x, torch.tensor(1.0)).sum().backward()
    assert x.grad.tolist() == [1.0, 1.0, 1.0, 1.0, 0.0]


def test_a_relu_stands_between_convolution_and_batch_norm():
    block = BasicBlock(get_method("reste"), 4, 4)
    seen = []
    block.bn1.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    block(torch.randn(2, 4, 6, 6))
    assert seen[0].min() == 0
    assert seen[0].max() > 0
    assert isinstance(block.nonlinearity1, torch.nn.Identity)


def test_a_power_below_one_is_refused():
    with pytest.raises(ValueError, match="needs power_end of at least 1"):
        get_method({"name": "reste", "power_end": 0.5})
