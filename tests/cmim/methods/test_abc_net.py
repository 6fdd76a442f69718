"""ABC-Net against NumPy: bases, least squares, and learned steps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from cmim.functional.bases import shifted_signs, staircase_scales
from cmim.methods import Method, get_method

every_count = pytest.mark.parametrize("count", [1, 2, 3, 5])
every_granularity = pytest.mark.parametrize("granularity", ["filter", "layer"])
every_float = pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str
)
SHAPE = (4, 2, 3, 3)


def make(count: int, granularity: str = "filter") -> Method:
    return get_method(
        {
            "name": "abc_net",
            "weight_bases": count,
            "activation_bases": count,
            "granularity": granularity,
        }
    )


def numpy_fit(values: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Bases of one group of weights, and their scales by NumPy's solver."""
    shifts = [0.0] if count == 1 else np.linspace(-1, 1, count)
    centred = values - values.mean()
    bases = np.stack(
        [np.where(centred + u * values.std() >= 0, 1.0, -1.0) for u in shifts], axis=1
    )
    return bases, np.linalg.lstsq(bases, values, rcond=None)[0]


@every_count
@every_granularity
def test_weights_are_the_least_squares_fit(weights, upstream, count, granularity):
    weight = torch.from_numpy(weights).requires_grad_()
    binarize = make(count, granularity).weight(SHAPE)
    binary = binarize(weight)
    gradient = upstream(weights.shape)
    binary.backward(torch.from_numpy(gradient))
    groups = weights.reshape(4 if granularity == "filter" else 1, -1)
    fits = [numpy_fit(group, count) for group in groups]
    expected = np.stack([bases @ scales for bases, scales in fits])
    np.testing.assert_allclose(binary.detach().reshape(groups.shape), expected)
    totals = np.array([[scales.sum()] for _, scales in fits])
    expected = gradient.reshape(groups.shape) * totals
    np.testing.assert_allclose(weight.grad.reshape(groups.shape), expected)


@every_granularity
def test_terms_are_the_bases_and_their_scales(weights, granularity):
    terms = make(3, granularity).weight(SHAPE).terms(torch.from_numpy(weights))
    groups = weights.reshape(4 if granularity == "filter" else 1, -1)
    for i, group in enumerate(groups):
        bases, scales = numpy_fit(group, 3)
        for m, (scale, codes) in enumerate(terms):
            assert scale.shape == (4, 1, 1, 1)
            np.testing.assert_array_equal(codes.reshape(groups.shape)[i], bases[:, m])
            np.testing.assert_allclose(scale[i], scales[m])


def test_scales_of_a_layer_are_the_same_for_every_filter(weights):
    for scale, _ in make(3, "layer").weight(SHAPE).terms(torch.from_numpy(weights)):
        assert len(scale.unique()) == 1


@every_count
def test_more_bases_fit_better_than_the_ones_they_contain(weights, count):
    weight = torch.from_numpy(weights)
    more = 3 if count == 1 else 2 * count - 1
    few = make(count).weight(SHAPE)(weight) - weight
    many = make(more).weight(SHAPE)(weight) - weight
    assert many.square().sum() < few.square().sum()


@every_count
@every_granularity
@every_float
def test_singular_fits_stay_finite_and_exact(count, granularity, dtype):
    """Constant filters and filters of two values: bases coincide."""
    for values in [[0.0, 0.0], [-0.0, 0.0], [3.0, 3.0], [2.0, -2.0]]:
        weight = torch.tensor(values, dtype=dtype).repeat(9).view(1, 2, 3, 3)
        weight = weight.repeat(4, 1, 1, 1).requires_grad_()
        binarize = make(count, granularity).weight(SHAPE)
        binary = binarize(weight)
        binary.sum().backward()
        assert torch.equal(binary, weight)
        assert weight.grad.isfinite().all()
        assert all(scale.isfinite().all() for scale, _ in binarize.terms(weight))


def test_an_empty_stair_has_no_influence():
    """Two values far apart leave the middle of four stairs empty."""
    weight = torch.tensor([[-1.0, -1.0, -1.0, 5.0]], dtype=torch.float64)
    codes = shifted_signs(weight, 5, True)
    assert len({tuple(c.flatten().tolist()) for c in codes}) < 5
    scales = staircase_scales(weight, codes, True)
    fitted = sum(s * c for s, c in zip(scales, codes, strict=True))
    bases, expected = numpy_fit(weight.numpy().reshape(-1), 5)
    np.testing.assert_allclose(fitted.flatten(), bases @ expected, atol=1e-12)


SHIFT = np.array([0.5, 0.0, 1.0])
SCALE = np.array([2.0, -0.5, 0.25])


def test_activations_and_every_gradient(activations, upstream):
    binarize = make(3).activation(4).double()
    binarize.shift.data = torch.from_numpy(SHIFT.copy())
    binarize.scale.data = torch.from_numpy(SCALE.copy())
    x = torch.from_numpy(activations).requires_grad_()
    codes = binarize(x)
    gradient = upstream(activations.shape)
    codes.backward(torch.from_numpy(gradient))
    total, slope = np.zeros_like(activations), np.zeros_like(activations)
    for n, (shift, scale) in enumerate(zip(SHIFT, SCALE, strict=True)):
        code = np.where(np.clip(activations + shift, 0, 1) >= 0.5, 1.0, -1.0)
        window = (activations + shift >= 0) & (activations + shift <= 1)
        total += scale * code
        slope += scale * window
        np.testing.assert_allclose(binarize.scale.grad[n], (gradient * code).sum())
        expected = (gradient * scale * window).sum()
        np.testing.assert_allclose(binarize.shift.grad[n], expected)
    np.testing.assert_allclose(codes.detach(), total, rtol=1e-14)
    np.testing.assert_allclose(x.grad, gradient * slope, rtol=1e-14)
    assert (activations == 0.5).any()
    assert (activations == -0.5).any()


def test_activations_start_between_minus_one_and_one():
    x = torch.tensor([[-0.6, -0.5, -0.1, 0.0, 0.4, 0.5]])
    expected = torch.tensor([[-3.0, -1.0, -1.0, 1.0, 1.0, 3.0]]) / 3
    torch.testing.assert_close(make(3).activation(1)(x), expected)
    assert make(1).activation(1)(x).tolist() == [[-1.0, -1.0, -1.0, 1.0, 1.0, 1.0]]


def test_activations_keep_their_input_and_no_copy():
    x = torch.randn(2, 4, 5, 5, requires_grad=True)
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(saved.append, lambda t: t):
        make(3).activation(4)(x)
    large = [t.data_ptr() for t in saved if t.numel() == x.numel()]
    assert large == [x.data_ptr()]


def test_one_convolution_of_sums_is_the_sum_of_binary_convolutions(weights):
    method, weight = make(3), torch.from_numpy(weights)
    binarize, activation = method.weight(SHAPE), method.activation(2).double()
    x = torch.randn(2, 2, 6, 6, dtype=torch.float64)
    whole = F.conv2d(activation(x), binarize(weight), padding=1)
    total = torch.zeros_like(whole)
    for scale, codes in binarize.terms(weight):
        for step in activation.steps(x):
            binary = (x >= step.threshold).double() * 2 - 1
            out = F.conv2d(binary, codes, padding=1)
            total += out * scale.view(-1, 1, 1) * step.high
    torch.testing.assert_close(whole, total)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight_bases": 0}, "needs at least one base"),
        ({"activation_bases": 0}, "needs at least one base"),
        ({"granularity": "channel"}, "no granularity 'channel'; choose from filter,"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        get_method({"name": "abc_net", **options})


def test_half_precision_sums_do_not_overflow():
    binarize = get_method("abc_net").activation(16)
    x = torch.zeros(4, 16, 64, 64, dtype=torch.float16, requires_grad=True)
    binarize(x).backward(torch.ones_like(x))
    for parameter in binarize.parameters():
        assert parameter.grad.isfinite().all()
    assert binarize.scale.grad.abs().max() == x.numel()
