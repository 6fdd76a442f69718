"""Curves as measured against the formulas of a few methods."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from matrix import few_first

from cmim.analysis.method_curves import activation_curves, weight_curves
from cmim.methods import available_methods, get_method

X = np.linspace(-2.5, 2.5, 251)
# At a jump the rounding of the grid decides.
CALM = np.abs(np.abs(X) - 1) > 1e-6


@pytest.mark.parametrize("name", few_first(available_methods()))
def test_every_method_can_be_measured(name):
    method = get_method(name)
    for maker, curves in (
        (method.activation, activation_curves(method)),
        (method.weight, weight_curves(method)),
    ):
        assert len(curves) in ([0] if maker is None else [1, 3])
        for curve in curves:
            np.testing.assert_allclose(curve.x, X, atol=1e-12)
            assert curve.forward.shape == curve.gradient.shape == (251,)
            assert curve.forward.isfinite().all()
            assert curve.gradient.isfinite().all()
            assert not curve.forward.requires_grad
        # A schedule may end with no gradient at all.
        assert not curves or any(curve.gradient.any() for curve in curves)


def test_bireal():
    (curve,) = activation_curves(get_method("bireal"))
    np.testing.assert_array_equal(curve.forward, np.where(X > -1e-9, 1.0, -1.0))
    np.testing.assert_allclose(
        curve.gradient, np.maximum(0, 2 - 2 * np.abs(X)), atol=1e-12
    )
    (curve,) = weight_curves(get_method("bireal"))
    assert curve.forward.unique().numel() == 2
    np.testing.assert_array_equal(curve.gradient[CALM], (np.abs(X) < 1)[CALM])


@pytest.mark.parametrize(("progress", "t", "k"), [(0, 0.1, 10), (1, 1, 1), (2, 10, 1)])
def test_irnet_at_three_points_of_training(progress, t, k):
    curve = activation_curves(get_method("irnet"))[progress]
    assert curve.progress == progress / 2
    np.testing.assert_allclose(
        curve.gradient, k * t / np.cosh(t * X) ** 2, rtol=1e-5, atol=1e-9
    )


def test_recu_reads_the_statistics_of_a_normal_sample():
    """The sample has variance near 1, so that the window ends near 1."""
    (curve,) = activation_curves(get_method("recu"))
    np.testing.assert_allclose(
        curve.gradient, np.maximum(0, 2 - 2 * np.abs(X)), atol=0.06
    )


def test_several_levels():
    method = get_method({"name": "hwgq", "normalize": False, "uniform": False})
    (curve,) = activation_curves(method)
    assert np.round(curve.forward.unique().numpy(), 2).tolist() == [0, 0.32, 1.0, 1.89]
    expected = (X > 1e-9) & (X <= 1.8936)
    np.testing.assert_array_equal(curve.gradient, expected)


def test_learned_range_that_starts_from_the_shape():
    (curve,) = weight_curves(get_method("dsq"))
    assert curve.forward.abs().max().item() == pytest.approx(3 * math.sqrt(2 / 9))


def test_generator_is_left_alone():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    weight_curves(get_method("reactnet"))
    assert torch.equal(torch.rand(2), expected)
