"""RBNN against NumPy: rotation, surrogates, and turns that a resumed run repeats."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from rbnn_cases import SHAPE, make_weight

from cmim.layers import BasicBlock
from cmim.methods import get_method
from cmim.methods.output_scale import ChannelScale

every_progress = pytest.mark.parametrize("progress", [0.0, 0.5, 1.0])


def numpy_slope(x: np.ndarray, t: float, k: float) -> np.ndarray:
    return np.maximum(0, k * (math.sqrt(2) * t - t**2 * np.abs(x)))


def numpy_standardized(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    flat = x.reshape(len(x), -1)
    deviation = flat.std(1, ddof=1, keepdims=True)
    return (flat - flat.mean(1, keepdims=True)) / deviation, deviation


def through_standardization(
    gradient: np.ndarray, standardized: np.ndarray, deviation: np.ndarray
) -> np.ndarray:
    """Jacobian written out, one row at a time."""
    count = standardized.shape[1]
    centring = np.eye(count) - 1 / count
    rows = [
        g @ (centring - np.outer(x, x) / (count - 1)) / s
        for g, x, s in zip(gradient, standardized, deviation, strict=True)
    ]
    return np.stack(rows)


@every_progress
@pytest.mark.parametrize("rotation_gradient", [False, True])
def test_weights_and_every_gradient(weights, upstream, progress, rotation_gradient):
    binarize = make_weight(rotation_gradient=rotation_gradient)
    binarize.progress.fill_(progress)
    weight = torch.from_numpy(weights).requires_grad_()
    binary = binarize(weight)
    gradient = upstream(weights.shape)
    binary.backward(torch.from_numpy(gradient))

    full = np.kron(binarize.left.numpy(), binarize.right.numpy())
    standardized, deviation = numpy_standardized(weights)
    beta = binarize.beta.detach().numpy().reshape(4, 1)
    share, moved = np.abs(np.sin(beta)), standardized @ full - standardized
    adjusted = standardized + share * moved
    np.testing.assert_array_equal(
        binary.detach().reshape(4, -1), np.where(adjusted >= 0, 1.0, -1.0)
    )
    t = 0.01 * 1000**progress
    inner = gradient.reshape(4, -1) * numpy_slope(adjusted, t, max(1 / t, 1))
    expected = (inner * moved).sum(1) * (np.cos(beta) * np.sign(np.sin(beta)))[:, 0]
    np.testing.assert_allclose(binarize.beta.grad.flatten(), expected, rtol=1e-5)
    inner = (1 - share) * inner + rotation_gradient * share * (inner @ full.T)
    expected = through_standardization(inner, standardized, deviation)
    np.testing.assert_allclose(
        weight.grad.reshape(4, -1), expected, rtol=1e-5, atol=1e-10
    )


def test_released_gradient_leaves_weights_alone_at_the_start(weights):
    method = get_method({"name": "rbnn", "rotation_gradient": False})
    weight = torch.from_numpy(weights).float().requires_grad_()
    binarize = method.weight(SHAPE)
    binarize(weight).sum().backward()
    assert not weight.grad.any()
    assert binarize.beta.grad.abs().max() < 1e-3


@every_progress
def test_activations_and_the_gradient_of_mean_and_deviation(
    activations, upstream, progress
):
    binarize = get_method("rbnn").activation(4).double()
    binarize.progress.fill_(progress)
    x = torch.from_numpy(activations).requires_grad_()
    codes = binarize(x)
    gradient = upstream(activations.shape)
    codes.backward(torch.from_numpy(gradient))
    standardized, deviation = numpy_standardized(activations)
    np.testing.assert_array_equal(
        codes.detach().reshape(3, -1), np.where(standardized >= 0, 1.0, -1.0)
    )
    t = max(1, 0.01 * 1000**progress)
    inner = gradient.reshape(3, -1) * numpy_slope(standardized, t, 1)
    expected = through_standardization(inner, standardized, deviation)
    np.testing.assert_allclose(x.grad.reshape(3, -1), expected, rtol=1e-5, atol=1e-10)


def test_the_threshold_is_the_samples_mean_in_evaluation_too():
    binarize = get_method("rbnn").activation(2)
    assert not binarize.static
    x = torch.tensor([[[1.0, 2.0], [3.0, 6.0]], [[-1.0, -1.0], [-1.0, -1.0]]])
    expected = [[[-1.0, -1.0], [1.0, 1.0]], [[1.0, 1.0], [1.0, 1.0]]]
    assert binarize(x).tolist() == expected
    assert binarize.eval()(x).tolist() == expected
    (step,) = binarize.steps(x)
    assert step.threshold.tolist() == [[[3.0]], [[-1.0]]]


def test_activations_keep_their_input_and_no_copy():
    x = torch.randn(2, 4, 5, 5, requires_grad=True)
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(saved.append, lambda t: t):
        get_method("rbnn").activation(4)(x)
    large = [t.data_ptr() for t in saved if t.numel() == x.numel()]
    assert large == [x.data_ptr()]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_constant_filters_and_samples_stay_finite(dtype):
    method = get_method("rbnn")
    weight = torch.randn(SHAPE).to(dtype)
    weight[0], weight[1] = 0, 3
    weight.requires_grad_()
    binarize = method.weight(SHAPE).to(dtype)
    binarize.set_progress(0.0)
    binary = binarize(weight)
    binary.sum().backward()
    assert torch.equal(binary[:2], torch.ones_like(binary[:2]))
    assert weight.grad.isfinite().all()
    x = torch.zeros(2, 4, 3, 3, dtype=dtype)
    x[1] = torch.randn(4, 3, 3).to(dtype)
    x.requires_grad_()
    codes = method.activation(4).to(dtype)(x)
    codes.square().sum().backward()
    assert codes.dtype == dtype
    assert not x.grad[0].any()
    assert x.grad[1].any()


def test_output_scale_starts_at_the_mean_magnitude():
    block = BasicBlock(get_method("rbnn"), 4, 6)
    expected = block.conv1.weight.detach().numpy()
    np.testing.assert_allclose(
        block.scale1.weight.detach(), np.abs(expected).mean((1, 2, 3)), rtol=1e-5
    )
    assert block.scale1.weight.requires_grad
    names = {name.split(".")[-1] for name in block.state_dict() if "weight_bin" in name}
    assert names == {"progress", "left", "right", "beta"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"t_min": 0.0}, "needs positive t_min and t_max"),
        ({"rotations": -1}, "needs rotations >= 0, got -1"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        get_method({"name": "rbnn", **options})


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_learned_scale_leaves_half_precision_as_it_is(dtype):
    """Under autocast features would be kept in float32 from there on."""
    scale = ChannelScale(3)
    out = torch.ones(2, 3, 4, 4, dtype=dtype, requires_grad=True)
    scaled = scale(out, out)
    assert scaled.dtype == dtype
    scaled.sum().backward()
    assert scale.weight.grad.dtype == torch.float32
