"""AdaBin against NumPy: levels of weights and activations, Maxout, export."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cmim.deploy.binary_layer import read_layer
from cmim.deploy.packed_conv import PackedConv
from cmim.functional.adaptive_levels import filter_spread, two_levels
from cmim.functional.maxout import maxout
from cmim.layers import BinaryConv2d
from cmim.methods import get_method

T = {0.0: 0.001, 0.5: 0.1, 1.0: 10.0}
# Distance and centre: the start, both moved, and a negative distance.
PLACES = [(1.0, 0.0), (2.0, 0.5), (-0.5, 0.5)]
every_place = pytest.mark.parametrize(("distance", "centre"), PLACES)
every_form = pytest.mark.parametrize("levels", ["released", "paper"])


def make_activation(levels: str, distance: float, centre: float):
    binarize = get_method({"name": "adabin", "levels": levels}).activation(4).double()
    binarize.distance.data.fill_(distance)
    binarize.centre.data.fill_(centre)
    return binarize


def numpy_levels(x: np.ndarray, levels: str, a: float, b: float) -> tuple:
    place = (x - b) / a
    code = np.where(place >= 0, 1.0, -1.0)
    slope = np.maximum(0, 2 - 2 * np.abs(place))
    value = a * (code + b) if levels == "released" else a * code + b
    return value, place, code, slope


@every_form
@every_place
def test_activations_and_every_gradient(
    activations, upstream, levels, distance, centre
):
    binarize = make_activation(levels, distance, centre)
    x = torch.from_numpy(activations).requires_grad_()
    gradient = upstream(activations.shape)
    out = binarize(x)
    out.backward(torch.from_numpy(gradient))
    value, place, code, slope = numpy_levels(activations, levels, distance, centre)
    assert (place == 0).any()
    assert (np.abs(place) == 1).any()
    np.testing.assert_array_equal(out.detach(), value)
    np.testing.assert_allclose(x.grad, gradient * slope, rtol=1e-14)
    along, across = code - slope * place, 1 - slope
    if levels == "released":
        along, across = along + centre, distance - slope
    np.testing.assert_allclose(binarize.distance.grad, (gradient * along).sum())
    np.testing.assert_allclose(binarize.centre.grad, (gradient * across).sum())


@every_form
@every_place
def test_steps_are_the_forward_pass_beside_the_threshold(levels, distance, centre):
    binarize = make_activation(levels, distance, centre).float()
    cut = torch.tensor(centre)
    x = torch.stack([cut.nextafter(cut - 1), cut, cut.nextafter(cut + 1)]).view(1, 3)
    (step,) = binarize.steps(x)
    found = torch.where(x >= step.threshold, step.high, step.low)
    assert torch.equal(found, binarize(x).detach())
    expected = [-1.0, 1.0, 1.0] if distance > 0 else [1.0, 1.0, -1.0]
    first, middle, last = (found > found.mean()).flatten().tolist()
    higher = [(code > 0) == (distance > 0) for code in expected]
    assert [first, middle, last] == higher


def test_activations_keep_their_input_and_no_copy():
    x = torch.randn(2, 4, 5, 5, requires_grad=True)
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(saved.append, lambda t: t):
        get_method("adabin").activation(4)(x)
    large = [t.data_ptr() for t in saved if t.numel() == x.numel()]
    assert large == [x.data_ptr()]


def test_bfloat16_activations(activations, upstream):
    binarize = make_activation("released", 2.0, 0.5)
    x = torch.from_numpy(activations).bfloat16().requires_grad_()
    gradient = torch.from_numpy(upstream(activations.shape)).bfloat16()
    out = binarize.float()(x)
    out.backward(gradient)
    assert out.dtype == x.grad.dtype == torch.bfloat16
    exact = x.detach().double().numpy()
    value, _, _, slope = numpy_levels(exact, "released", 2.0, 0.5)
    np.testing.assert_array_equal(out.detach().double().numpy(), value)
    expected = gradient.double().numpy() * slope
    np.testing.assert_allclose(x.grad.double().numpy(), expected, atol=0.05)


def test_half_precision_sums_do_not_overflow():
    binarize = get_method("adabin").activation(16)
    x = torch.zeros(4, 16, 64, 64, dtype=torch.float16, requires_grad=True)
    binarize(x).backward(torch.ones_like(x))
    # At u = 0: 1 + 0 for the distance, 1 - 2 for the centre.
    assert binarize.distance.grad == x.numel()
    assert binarize.centre.grad == -x.numel()


@pytest.mark.parametrize("progress", list(T))
def test_weights_and_the_gradient_through_mean_and_deviation(
    weights, upstream, progress
):
    weights[3] /= 50  # magnitudes alike, so that tolerances mean something
    binarize = get_method("adabin").weight(weights.shape).double()
    binarize.set_progress(progress)
    weight = torch.from_numpy(weights).requires_grad_()
    gradient = upstream(weights.shape).reshape(4, -1)
    binary = binarize(weight)
    binary.backward(torch.from_numpy(gradient).view_as(weight))
    flat = weights.reshape(4, -1)
    mean, deviation = flat.mean(1, keepdims=True), flat.std(1, keepdims=True)
    normal = (flat - mean) / deviation
    code = np.where(normal >= 0, 1.0, -1.0)
    expected = deviation * code + mean
    np.testing.assert_allclose(binary.detach().reshape(4, -1), expected, rtol=1e-13)

    t, k = T[progress], max(1 / T[progress], 1)
    slope = k * t * (1 - np.tanh(t * normal) ** 2)
    count = flat.shape[1]
    for i in range(4):
        # d mean / dw = 1/n, d deviation / dw = w^/n, d w^ = (1 - 1/n - w^ w^/n)/alpha.
        hat = normal[i]
        through = np.eye(count) - 1 / count - np.outer(hat, hat) / count
        found = (gradient[i] * slope[i]) @ through
        found += (gradient[i] * code[i]).sum() * hat / count + gradient[i].sum() / count
        np.testing.assert_allclose(weight.grad[i].flatten(), found, atol=1e-11)


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str
)
def test_a_constant_filter_is_its_mean_and_keeps_gradients_finite(dtype):
    weight = torch.full((2, 2, 3, 3), 0.1, dtype=dtype)
    weight[1] = 0.0
    weight.requires_grad_()
    binary = get_method("adabin").weight(weight.shape).to(dtype)(weight)
    binary.sum().backward()
    assert torch.equal(binary, weight)
    assert weight.grad.isfinite().all()


def test_bfloat16_deviation_is_summed_in_float32():
    weight = torch.randn(2, 4096, generator=torch.Generator().manual_seed(0)).bfloat16()
    mean, deviation, _ = filter_spread(weight)
    exact = weight.double().numpy()
    expected = np.sqrt(((exact - mean.double().numpy()) ** 2).mean(1))
    found = deviation.double().flatten().numpy()
    np.testing.assert_allclose(found, expected, rtol=2**-8)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_maxout_and_its_gradients(activations, upstream, dtype):
    x = torch.from_numpy(activations).to(dtype).requires_grad_()
    rising = torch.tensor([1.0, 0.5, -2.0, 0.0], requires_grad=True)
    falling = torch.tensor([0.25, 1.0, 0.0, -1.0], requires_grad=True)
    gradient = torch.from_numpy(upstream(activations.shape)).to(dtype)
    y = maxout(x, rising, falling)
    y.backward(gradient)
    assert y.dtype == x.grad.dtype == dtype
    exact, g = x.detach().double().numpy(), gradient.double().numpy()
    up, down = (p.detach().double().numpy()[:, None, None] for p in (rising, falling))
    expected = up * np.maximum(exact, 0) + down * np.minimum(exact, 0)
    np.testing.assert_array_equal(y.detach().double().numpy(), expected)
    slope = np.where(exact > 0, up, np.where(exact < 0, down, 0))
    tolerance = 1e-14 if dtype == torch.float64 else 2**-8
    np.testing.assert_allclose(x.grad.double().numpy(), g * slope, rtol=tolerance)
    wanted = (g * np.maximum(exact, 0)).sum((0, 2, 3))
    loose = 1e-6 if dtype == torch.float64 else 0.1
    np.testing.assert_allclose(rising.grad, wanted, rtol=loose, atol=loose)
    wanted = (g * np.minimum(exact, 0)).sum((0, 2, 3))
    np.testing.assert_allclose(falling.grad, wanted, rtol=loose, atol=loose)


@every_form
@every_place
def test_the_exported_layer_is_one_product_and_alike(weights, levels, distance, centre):
    binarize = make_activation(levels, distance, centre).float().eval()
    method = get_method("adabin")
    conv = BinaryConv2d(2, 4, 3, method=method, padding=1).eval()
    conv.weight.data.copy_(torch.from_numpy(weights))
    layer, x = read_layer("conv", conv, binarize), torch.randn(2, 2, 6, 5)
    x[0, 0, :, 0] = centre
    assert layer.products == 1
    assert [term.is_shared for term in layer.terms] == [False, True]
    with torch.no_grad():
        expected = conv.double()(binarize(x).double()).float()
    torch.testing.assert_close(PackedConv(layer)(x), expected, rtol=1e-5, atol=1e-4)


def test_two_levels_are_the_sign_at_their_start():
    x = torch.tensor([-0.1, -0.0, 0.0, 2.0])
    codes = two_levels(x, torch.ones(()), torch.zeros(()))
    assert codes.tolist() == [-1.0, 1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"t_min": 0.0}, "needs positive t_min and t_max, got 0.0 and 10.0"),
        ({"levels": "x"}, "no levels 'x'; choose from released, paper"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        get_method({"name": "adabin", **options})
