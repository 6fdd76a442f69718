"""Unbalanced activations against NumPy: codes, gradients and thresholds."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cmim.methods import TwoLevelActivation, get_method


def binarizer(method: str, threshold: float) -> TwoLevelActivation:
    addition = {"name": "unbalanced", "threshold": threshold}
    return get_method({"name": method, "additions": [addition]}).activation(4)


@pytest.mark.parametrize("tau", [0.5, 0.0, -1.0])
def test_bireal_codes_and_gradient(activations, upstream, tau):
    x = torch.from_numpy(activations).requires_grad_()
    codes = binarizer("bireal", tau)(x)
    gradient = upstream(activations.shape)
    codes.backward(torch.from_numpy(gradient))
    moved = activations - tau
    np.testing.assert_array_equal(codes.detach(), np.where(moved >= 0, 1.0, -1.0))
    expected = gradient * np.maximum(0, 2 - 2 * np.abs(moved))
    np.testing.assert_allclose(x.grad, expected, atol=1e-14)
    assert (moved == 0).any()


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str
)
@pytest.mark.parametrize("tau", [0.2, 0.7, -0.1])
def test_the_threshold_itself_is_the_upper_level(tau, dtype):
    """Also where tau is no number of the dtype (0.7 rounds down in bfloat16)."""
    cut = torch.tensor([[tau]], dtype=dtype)
    below = cut.nextafter(torch.full_like(cut, -torch.inf))
    binarize = binarizer("bireal", tau)
    assert binarize(cut).item() == 1
    assert binarize(below).item() == -1
    assert binarize.threshold().item() == pytest.approx(tau)
    (step,) = binarize.steps(cut)
    assert step.threshold == cut
    assert (step.low, step.high) == (-1, 1)


def test_levels_and_learned_thresholds_are_the_methods_own():
    dorefa = binarizer("dorefa", 0.25)
    assert dorefa.levels == (0.0, 1.0)
    assert dorefa(torch.tensor([[0.7, 0.75]])).tolist() == [[0.0, 1.0]]
    assert dorefa.threshold() == 0.75
    reactnet = binarizer("reactnet", 0.25)
    reactnet.inner.shift.data = torch.tensor([0.0, 0.5, -1.0, 0.25])
    assert reactnet.threshold().tolist() == [0.25, -0.25, 1.25, 0.0]


def test_a_higher_threshold_gives_fewer_ones():
    x = torch.randn(2, 4, 16, 16)
    shares = [(binarizer("bireal", t)(x) > 0).float().mean() for t in (-0.5, 0, 0.5)]
    assert shares[0] > shares[1] > shares[2]


@pytest.mark.parametrize("threshold", [float("nan"), float("inf")])
def test_thresholds_that_are_no_number_are_refused(threshold):
    with pytest.raises(ValueError, match="finite threshold"):
        binarizer("bireal", threshold)
