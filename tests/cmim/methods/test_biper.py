"""BiPer against NumPy: a square wave, the sine's slope, two stages."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from cmim.functional.periodic_sign import periodic_sign
from cmim.layers import BasicBlock
from cmim.methods import get_method

FREQUENCY = 3.0
SHAPE = (4, 2, 3, 3)


def numpy_wave(weights: np.ndarray) -> np.ndarray:
    return np.where(np.sin(FREQUENCY * weights) >= 0, 1.0, -1.0)


def make(switch: float):
    return get_method({"name": "biper", "frequency": FREQUENCY, "switch": switch})


@pytest.mark.parametrize("soft", [True, False])
def test_forward_and_gradient_before_and_after_the_switch(weights, upstream, soft):
    binarize = make(0.5).weight(SHAPE).double()
    binarize.set_progress(0.25 if soft else 0.5)
    weight = torch.from_numpy(weights).requires_grad_()
    binary, gradient = binarize(weight), upstream(weights.shape)
    binary.backward(torch.from_numpy(gradient))
    expected = np.sin(FREQUENCY * weights) if soft else numpy_wave(weights)
    np.testing.assert_allclose(binary.detach(), expected, rtol=0, atol=1e-14)
    expected = gradient * FREQUENCY * np.cos(FREQUENCY * weights)
    np.testing.assert_allclose(weight.grad, expected, rtol=0, atol=1e-13)


def test_evaluation_binarizes_before_the_switch_too(weights):
    binarize = make(0.5).weight(SHAPE).eval()
    codes = binarize(torch.from_numpy(weights))
    np.testing.assert_array_equal(codes, numpy_wave(weights))


def test_zeros_of_both_signs_are_plus_one_and_a_period_repeats():
    period = 2 * math.pi / FREQUENCY
    x = torch.tensor([0.0, -0.0, 0.1, 0.1 + period, 0.6 * period, -0.1])
    assert periodic_sign(x, FREQUENCY).tolist() == [1.0, 1.0, 1.0, 1.0, -1.0, -1.0]


def test_bfloat16_keeps_its_type_and_codes(weights, upstream):
    weight = torch.from_numpy(weights[:3]).bfloat16().requires_grad_()
    codes = periodic_sign(weight, FREQUENCY)
    gradient = torch.from_numpy(upstream(weights[:3].shape)).bfloat16()
    codes.backward(gradient)
    assert codes.dtype == weight.grad.dtype == torch.bfloat16
    exact = FREQUENCY * weight.detach().double().numpy()
    # A code may differ where the product's rounding passes a zero of the sine.
    near = np.abs(np.sin(exact)) < np.abs(exact) * 2**-8
    expected = np.where(np.sin(exact) >= 0, 1.0, -1.0)
    assert near.mean() < 0.2
    np.testing.assert_array_equal(
        codes.detach().double().numpy()[~near], expected[~near]
    )
    slope = gradient.double().numpy() * FREQUENCY * np.cos(exact)
    error = np.abs(weight.grad.double().numpy() - slope)
    bound = FREQUENCY * np.abs(gradient.double().numpy()) * (np.abs(exact) + 3) * 2**-8
    assert (error <= bound).all()


def test_activations_and_scale_are_recus():
    block = BasicBlock(make(0.5), 4, 6)
    assert type(block.binarize1) is type(get_method("recu").activation(4))
    assert block.scale1.weight.shape == (6,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frequency": 0.0}, "needs a positive frequency, got 0.0"),
        ({"switch": 1.5}, "needs a switch from 0 to 1, got 1.5"),
        ({"switch": -0.1}, "needs a switch from 0 to 1, got -0.1"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        get_method({"name": "biper", **options})
