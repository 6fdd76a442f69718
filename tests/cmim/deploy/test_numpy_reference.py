"""The NumPy reference: binary layers by hand and in integers, files, errors, alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from layer_cases import LEVELS, at_thresholds, integer_convolution, random_layer

from cmim.deploy.binary_layer import BinaryLayer, SignStep, SignTerm
from cmim.deploy.numpy_reference import (
    binary_conv,
    unpack_signs,
)
from cmim.deploy.packed_conv import PackedConv
from cmim.deploy.raw_program import INPUT, binary_step, pack_signs


def run_layer(layer: BinaryLayer, x: np.ndarray) -> np.ndarray:
    step = binary_step(layer, INPUT, "out", ())
    return binary_conv(step.options, step.arrays, x)


def naive_layer(layer: BinaryLayer, x: np.ndarray) -> np.ndarray:
    """Pixel by pixel, from the page's words: products outside are left out."""
    n, channels, height, width = x.shape
    o, _, kh, kw = layer.shape
    out = np.zeros((n, o, height, width))
    for image, c, f, y, z, i, j in np.ndindex(n, channels, o, height, width, kh, kw):
        row = y * layer.stride[0] - layer.padding[0] + i * layer.dilation[0]
        column = z * layer.stride[1] - layer.padding[1] + j * layer.dilation[1]
        if 0 <= row < height and 0 <= column < width:
            for step in layer.steps:
                cut = step.threshold[c % len(step.threshold)]
                level = step.high if x[image, c, row, column] >= cut else step.low
                for term in layer.terms:
                    product = level * int(term.signs[f, c, i, j])
                    out[image, f, y, z] += term.scale[f] * product
    return out


def worked_example(low: float, high: float) -> BinaryLayer:
    """That of docs/raw_format.md."""
    step = SignStep(np.float32([0, 1]), low, high)
    signs = np.array([[[[1, -1, 1]], [[-1, -1, 1]]]], np.int8)
    term = SignTerm(np.float32([0.5]), signs)
    return BinaryLayer("layer", (step,), (term,), (1, 1), (0, 1), (1, 1))


def test_the_worked_example_has_these_bytes_and_values():
    step = binary_step(worked_example(-1, 1), INPUT, "out", (1, 1, 3))
    assert step.arrays["bits"].shape == (1, 1, 1, 3, 1)
    assert step.arrays["bits"].tobytes() == bytes.fromhex("01 00 03")
    assert step.arrays["thresholds"].tobytes().hex(" ") == "00 00 00 00 00 00 80 3f"
    assert step.arrays["scales"].tobytes() == bytes.fromhex("00 00 00 3f")
    x = np.float32([[0.5, -1, 0], [2, 1, 0.9]]).reshape(1, 2, 1, 3)
    assert run_layer(worked_example(-1, 1), x).ravel().tolist() == [-1, 0, -1]
    assert run_layer(worked_example(0, 1), x).ravel().tolist() == [-0.5, 0, -1]
    page = Path(__file__).resolve().parents[3] / "docs" / "raw_format.md"
    assert "bits   01 00 03" in page.read_text(encoding="utf-8")


def test_both_zeros_are_plus_one():
    term = SignTerm(np.float32([1]), np.ones((1, 1, 1, 1), np.int8))
    step = SignStep(np.float32([0]), -1, 1)
    layer = BinaryLayer("layer", (step,), (term,), (1, 1), (0, 0), (1, 1))
    x = np.float32([0.0, -0.0, -1e-30]).reshape(1, 1, 1, 3)
    assert run_layer(layer, x).ravel().tolist() == [1, 1, -1]


def test_channels_lie_in_bits_from_the_lowest_on():
    signs = np.ones((1, 9, 1, 2), np.int8)
    signs[0, 1, 0, 0] = signs[0, 8, 0, 1] = -1
    assert pack_signs(signs).tolist() == [[[[0b11111101, 1], [255, 0]]]]


@pytest.mark.parametrize("channels", [1, 7, 8, 9, 63, 64, 65, 100])
def test_unpacking_undoes_packing(channels):
    signs = np.random.default_rng(channels).choice([-1, 1], (3, channels, 2, 3))
    assert pack_signs(signs).shape == (3, 2, 3, -(-channels // 8))
    np.testing.assert_array_equal(unpack_signs(pack_signs(signs), channels), signs)


@pytest.mark.parametrize("levels", LEVELS)
def test_a_small_layer_equals_loops_over_its_pixels(levels):
    rng = np.random.default_rng(3)
    layer = random_layer(rng, o=2, i=3, k=3, d=2, s=1, levels=levels, terms=2)
    x = at_thresholds(rng, layer)[:1, :, :5, :4]
    np.testing.assert_array_equal(run_layer(layer, x), naive_layer(layer, x))


@pytest.mark.parametrize("seed", range(60))
def test_any_layer_is_exact_at_and_beside_its_thresholds(seed):
    """Any stride, dilation, number of channels, kind of levels, images at a time."""
    rng = np.random.default_rng(seed)
    layer = random_layer(rng, terms=int(rng.integers(1, 3)))
    x = at_thresholds(rng, layer)
    # Scales are powers of two: nothing rounds.
    np.testing.assert_array_equal(run_layer(layer, x), integer_convolution(layer, x))


@pytest.mark.parametrize("seed", range(5))
def test_any_scale_and_level_gives_the_bits_that_torch_gives(seed):
    rng = np.random.default_rng(seed)
    layer = random_layer(rng, k=3, d=2, levels="several", terms=2)
    terms = tuple(
        replace(term, scale=rng.random(len(term.scale), np.float32))
        for term in layer.terms
    )
    steps = tuple(
        replace(s, low=s.low / 3, high=float(rng.random())) for s in layer.steps
    )
    layer = replace(layer, terms=terms, steps=steps)
    x = at_thresholds(rng, layer)
    theirs = PackedConv(layer)(torch.from_numpy(x)).numpy()
    np.testing.assert_array_equal(run_layer(layer, x), theirs)


def test_centred_thresholds_count_from_the_mean_of_each_image():
    rng = np.random.default_rng(0)
    layer = random_layer(rng, o=3, i=4, k=3, d=1, levels="signs")
    # Eighths, so that means and differences are exact.
    x = rng.integers(-8, 9, (2, 4, 4, 8)).astype(np.float32) / 8
    x[1] += 3
    shifted = x - x.mean(axis=(1, 2, 3), keepdims=True)
    np.testing.assert_array_equal(
        run_layer(replace(layer, centred=True), x), integer_convolution(layer, shifted)
    )
    assert (run_layer(layer, x) != integer_convolution(layer, shifted)).any()


@pytest.mark.parametrize("value", [-0.99, 0.1, 1 / 3, 3e4, 1e-20])
def test_codes_of_a_constant_image_are_those_of_torch(value):
    rng = np.random.default_rng(0)
    layer = replace(random_layer(rng, o=3, i=5, k=3, d=1, levels="signs"), centred=True)
    x = np.full((2, 5, 31, 37), value, np.float32)
    theirs = PackedConv(layer)(torch.from_numpy(x)).numpy()
    np.testing.assert_array_equal(run_layer(layer, x), theirs)


def test_a_wrong_bit_is_seen():
    rng = np.random.default_rng(1)
    layer = random_layer(rng, o=4, i=10, k=3, d=1, levels="signs")
    x, step = at_thresholds(rng, layer), binary_step(layer, INPUT, "out", ())
    step.arrays["bits"][0, 0, 1, 1, 1] ^= 1
    wrong = binary_conv(step.options, step.arrays, x) != run_layer(layer, x)
    assert wrong[:, 0].all()
    assert not wrong[:, 1:].any()


def test_bits_without_a_channel_mean_nothing():
    rng = np.random.default_rng(1)
    layer = random_layer(rng, o=4, i=10, k=3, d=1, levels="signs")
    x, step = at_thresholds(rng, layer), binary_step(layer, INPUT, "out", ())
    step.arrays["bits"][..., 1] |= 0b11111100
    ours = binary_conv(step.options, step.arrays, x)
    np.testing.assert_array_equal(ours, run_layer(layer, x))
