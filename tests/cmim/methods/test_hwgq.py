"""HWGQ against NumPy and SciPy: levels, surrogates, and the folded batch-norm."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from cmim.functional.half_wave import half_gaussian_levels, sum_of_steps
from cmim.methods import get_method

UNIFORM = (0.538, 1.076, 1.614)  # of the released configurations
every_bits = pytest.mark.parametrize("bits", [1, 2, 3, 4])


def cells(levels):
    cuts = [0.0, *((np.array(levels[1:]) + np.array(levels[:-1])) / 2), np.inf]
    return list(zip(cuts[:-1], cuts[1:], levels, strict=True))


@pytest.mark.parametrize("count", [1, 2, 3, 7, 15])
def test_lloyds_levels_are_the_means_of_their_cells(count):
    levels = half_gaussian_levels(count)
    assert len(levels) == count
    for low, high, level in cells(levels):
        mean = stats.halfnorm.expect(lambda x: x, lb=low, ub=high, conditional=True)
        assert level == pytest.approx(mean, abs=1e-8)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 15])
def test_uniform_levels_have_the_least_error_of_their_kind(count):
    def error(step):
        return sum(
            integrate.quad(
                lambda x, level=level: (x - level) ** 2 * stats.halfnorm.pdf(x),
                low,
                min(high, 12.0),
            )[0]
            for low, high, level in cells([i * step for i in range(1, count + 1)])
        )

    levels = half_gaussian_levels(count, uniform=True)
    step = levels[0]
    np.testing.assert_allclose(levels, step * np.arange(1, count + 1), rtol=1e-12)
    assert error(step) < min(error(0.99 * step), error(1.01 * step))
    assert error(step + 1e-4) == pytest.approx(error(step - 1e-4), rel=1e-6)


def test_levels_are_the_released_ones():
    np.testing.assert_allclose(half_gaussian_levels(2), [0.453, 1.51], atol=5e-4)
    np.testing.assert_allclose(half_gaussian_levels(3, True), UNIFORM, atol=2.5e-3)


def numpy_codes(x, levels):
    cuts = (np.array(levels[1:]) + np.array(levels[:-1])) / 2
    return np.where(x > 0, np.array(levels)[np.searchsorted(cuts, x, "right")], 0.0)


def numpy_slope(x, largest, backward):
    inside = (x > 0).astype(float)
    if backward == "clipped":
        return inside * (x <= largest)
    if backward == "log_tailed":
        tail = x > largest
        return np.where(tail, 1 / np.where(tail, x - (largest - 1), 1.0), inside)
    return inside


@every_bits
@pytest.mark.parametrize("uniform", [True, False])
@pytest.mark.parametrize("backward", ["clipped", "vanilla", "log_tailed"])
@pytest.mark.parametrize("training", [True, False])
def test_activations(activations, upstream, bits, uniform, backward, training):
    options = dict(activation_bits=bits, uniform=uniform, backward=backward)
    method = get_method({"name": "hwgq", "normalize": False, **options})
    levels = half_gaussian_levels(2**bits - 1, uniform)
    # Thresholds, the end of the clip and its neighbours, in every sample.
    cuts = (np.array(levels[1:]) + np.array(levels[:-1])) / 2
    largest = levels[-1]
    edges = [largest, np.nextafter(largest, 9), 2 * largest, *cuts[:12]]
    values = 2 * activations
    values.reshape(3, -1)[:, 13 : 13 + len(edges)] = edges
    x = torch.from_numpy(values).requires_grad_()
    codes = method.activation(4).train(training)(x)
    gradient = upstream(values.shape)
    codes.backward(torch.from_numpy(gradient))
    np.testing.assert_allclose(
        codes.detach(), numpy_codes(values, levels), rtol=0, atol=1e-14
    )
    expected = gradient * numpy_slope(values, largest, backward)
    np.testing.assert_allclose(x.grad, expected, rtol=1e-14)


def test_both_zeros_give_zero_and_the_least_float_above_gives_the_first_level():
    quantize = get_method({"name": "hwgq", "normalize": False}).activation(1)
    tiny = torch.finfo(torch.float32).tiny
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        x = torch.tensor([[0.0, -0.0, -tiny, tiny]], dtype=dtype)
        for training in (True, False):
            codes = quantize.train(training)(x).flatten().tolist()
            assert codes[:3] == [0, 0, 0]
            assert codes[3] == pytest.approx(0.5388, rel=5e-3)


def test_weights_and_their_identity_gradient(weights, upstream):
    weight = torch.from_numpy(weights).requires_grad_()
    binary = get_method("hwgq").weight((4, 2, 3, 3))(weight)
    gradient = upstream(weights.shape)
    binary.backward(torch.from_numpy(gradient))
    alpha = np.abs(weights).mean((1, 2, 3), keepdims=True)
    expected = np.where(weights >= 0, alpha, -alpha)
    np.testing.assert_allclose(binary.detach(), expected, rtol=1e-14)
    np.testing.assert_array_equal(weight.grad, gradient)


@pytest.mark.parametrize("shape", [(8, 3), (4, 3, 5), (4, 3, 5, 6)])
def test_normalization_in_training_is_batch_norms(shape):
    torch.manual_seed(0)
    x = (3 * torch.randn(shape) + 2).double().requires_grad_()
    quantize = get_method("hwgq").activation(3).double()
    bare = get_method({"name": "hwgq", "normalize": False}).activation(3)
    norm = {2: torch.nn.BatchNorm1d, 3: torch.nn.BatchNorm1d, 4: torch.nn.BatchNorm2d}
    batch_norm = norm[len(shape)](3, affine=False).double()
    gradient = torch.randn(shape).double()
    codes = quantize(x)
    (found,) = torch.autograd.grad(codes, x, gradient)
    reference = bare(batch_norm(x))
    (expected,) = torch.autograd.grad(reference, x, gradient)
    assert torch.equal(codes, reference)
    torch.testing.assert_close(found, expected)
    assert torch.equal(quantize.norm.running_mean, batch_norm.running_mean)
    assert torch.equal(quantize.norm.running_var, batch_norm.running_var)

    quantize.eval(), batch_norm.eval()
    fresh = (3 * torch.randn(shape) + 2).double()
    torch.testing.assert_close(quantize(fresh), bare(batch_norm(fresh)))


@pytest.mark.parametrize("mean", [0.0, 1.7])
def test_a_dead_channel_gives_zeros_in_training_and_evaluation(mean):
    quantize = get_method("hwgq").activation(1)
    quantize.norm.running_mean.fill_(mean)
    quantize.norm.running_var.zero_()
    x = torch.full((2, 1, 4, 4), mean, requires_grad=True)
    assert quantize.eval()(x).abs().sum() == 0
    codes = quantize.train()(x)
    codes.sum().backward()
    assert codes.abs().sum() == 0
    assert x.grad.isfinite().all()


def test_a_byte_an_element_is_kept():
    x = torch.randn(2, 4, 5, 5, requires_grad=True)
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(saved.append, lambda t: t):
        get_method({"name": "hwgq", "normalize": False}).activation(4)(x)
    assert [t.dtype for t in saved] == [torch.bool]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"activation_bits": 0}, "activation_bits of 1, 2, 3 or 4, got 0"),
        ({"activation_bits": 32}, "activation_bits of 1, 2, 3 or 4, got 32"),
        ({"backward": "relu"}, "no backward 'relu'; choose from clipped, vanilla"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        get_method({"name": "hwgq", **options})


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_zeros_give_zero_in_every_precision(dtype):
    quantize = get_method({"name": "hwgq", "normalize": False}).activation(4)
    x = torch.tensor([[0.0, -0.0, 1e-4, -1e-4]], dtype=dtype)
    for mode in (True, False):
        codes = quantize.train(mode)(x)
        assert codes.dtype == dtype
        assert (codes > 0).tolist() == [[False, False, True, False]]
        steps = [(step.threshold, step.high) for step in quantize.steps(x)]
        assert torch.equal(sum_of_steps(x, steps), codes)


def test_several_processes_share_the_statistics():
    """What torch and the checkpoint hook take for a batch-norm, by type."""
    torch.manual_seed(0)
    quantize = get_method("hwgq").activation(3)
    quantize(torch.randn(4, 3, 5, 5) + 1)
    x = torch.randn(2, 3, 5, 5)
    expected = quantize.eval()(x)
    converted = torch.nn.SyncBatchNorm.convert_sync_batchnorm(quantize)
    assert isinstance(converted.norm, torch.nn.SyncBatchNorm)
    assert torch.equal(converted(x), expected)
