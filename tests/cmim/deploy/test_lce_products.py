"""Products of signs with one padding or the other, and what they add up to."""

from __future__ import annotations

import numpy as np
import pytest
from layer_cases import at_thresholds, integer_convolution, random_layer, with_offset
from numpy_tensorflow import numpy_tensorflow

from cmim.deploy.lce.binary_conv import add_binary_conv, cut_of
from cmim.deploy.lce.layout import channels_first, channels_last
from cmim.deploy.lce.padding import needed_end, same_plan
from cmim.deploy.lce.products import plans_of, products_of
from cmim.deploy.raw_program import Program, binary_step


def normal(x):
    """Without subnormal numbers, which engines may take for 0."""
    tiny = np.float32(2 * np.finfo(np.float32).tiny)
    return np.where((x != 0) & (np.abs(x) < tiny), np.copysign(tiny, x), x)


def raw(layer, x):
    """A layer as a step of a raw network, and its arrays by role."""
    out = integer_convolution(layer, x).shape[1:]
    step = binary_step(layer, "image", "out", out)
    network = Program(x.shape[1:], (step,), ("out",)).network()
    (step,) = network.steps
    return step, {role: network.arrays[key] for role, key in step["arrays"].items()}


@pytest.mark.parametrize("seed", range(40))
def test_products_add_up_to_the_layer(seed):
    rng = np.random.default_rng(seed)
    layer = random_layer(rng)
    if seed % 3 == 0:
        layer = with_offset(rng, layer)
    x = normal(at_thresholds(rng, layer))
    step, arrays = raw(layer, x)
    products, constant = products_of(step, arrays, x.shape[2:])
    total = constant.reshape(-1, 1, 1) + sum(
        product.factor.reshape(-1, 1, 1) * product.integers(step, x)
        for product in products
    )
    np.testing.assert_array_equal(total, integer_convolution(layer, x))
    in_tensorflow = add_binary_conv(numpy_tensorflow, step, arrays, channels_last(x))
    np.testing.assert_array_equal(channels_first(in_tensorflow), total)


def test_signs_are_one_product_where_the_engine_is_right():
    """Its zeros are wrong where a kernel reaches over both ends of an image."""
    rng = np.random.default_rng(0)
    layer = random_layer(rng, k=3, d=6, s=1, levels="signs")
    wide, narrow = (np.zeros((1, layer.shape[1], n, 20), np.float32) for n in (13, 12))
    for x, outside in ((wide, [0]), (narrow, [-1, 1])):
        step, arrays = raw(layer, x)
        products, _ = products_of(step, arrays, x.shape[2:])
        assert [product.outside for product in products] == outside
        assert (plans_of(step, x.shape[2:]) is None) == (x is narrow)


def test_bits_are_one_product():
    layer = random_layer(np.random.default_rng(1), k=3, levels="bits")
    step, arrays = raw(layer, np.zeros((1, layer.shape[1], 80, 80), np.float32))
    products, constant = products_of(step, arrays, (80, 80))
    assert [product.outside for product in products] == [-1]
    assert constant.any()


def windows(size, kernel, stride, dilation, begin, count):
    """The pixels under each window; None for what lies outside."""
    taps = [
        [k * stride - begin + t * dilation for t in range(kernel)] for k in range(count)
    ]
    return [[t if 0 <= t < size else None for t in window] for window in taps]


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("dilation", [1, 2, 5])
def test_same_padding_gives_the_windows_of_torch(stride, dilation):
    """By TensorFlow's rule, with pixels appended that no kept window reads."""
    found = 0
    for size in range(1, 20):
        for kernel in (1, 2, 3, 5):
            for begin in range(4):
                reach = dilation * (kernel - 1) + 1
                if size + 2 * begin < reach:
                    continue
                count = (size + 2 * begin - reach) // stride + 1
                wanted = windows(size, kernel, stride, dilation, begin, count)
                end = needed_end(size, kernel, stride, dilation, begin, begin)
                last = (count - 1) * stride - begin + reach - 1
                assert end == max(last - size + 1, 0) <= begin
                plan = same_plan(size, kernel, stride, dilation, begin, begin)
                if plan is None:
                    continue
                found += 1
                grown = size + plan.extra
                made = -(-grown // stride)
                zeros = max((made - 1) * stride + reach - grown, 0)
                ours = windows(grown, kernel, stride, dilation, zeros // 2, made)
                assert ours[plan.first : plan.first + plan.count] == wanted
    assert found > 50


def test_minus_zero_is_plus_one_by_its_sign_bit_too():
    """The engine's fast kernel reads the sign bit of what is left of a threshold."""
    x = np.float32([-0.0, 0.0, 1.0, -1.0, 0.5])
    for threshold, expected in ((0.0, [1, 1, 1, -1, 1]), (0.5, [-1, -1, 1, -1, 1])):
        left = x - cut_of(np.float32([threshold]))
        assert np.where(np.signbit(left), -1, 1).tolist() == expected


def test_usual_padding_has_a_plan():
    for size in range(2, 30):
        for stride in (1, 2):
            assert same_plan(size, 3, stride, 1, 1, 1) is not None
