"""Binary layers in the engine against integer convolutions, over many shapes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

pytest.importorskip("openvino")

from layer_cases import DILATIONS, LEVELS, integer_convolution, random_layer

from cmim.deploy.binary_layer import BinaryLayer, SignTerm
from cmim.deploy.openvino_graph import below, pack_bits
from cmim.deploy.verify import compile_layer, near_thresholds


def random_image(rng: np.random.Generator, layer: BinaryLayer) -> torch.Tensor:
    shape = (int(rng.integers(1, 4)), layer.shape[1], *rng.integers(1, 26, 2))
    x = torch.from_numpy(rng.standard_normal(shape).astype(np.float32))
    return near_thresholds(layer.steps[0], x, seed=int(rng.integers(1 << 20)))


def check(layer: BinaryLayer, x: torch.Tensor) -> None:
    ours = compile_layer(layer, tuple(x.shape))(x.numpy())[0]
    expected = integer_convolution(layer, x.numpy())
    assert ours.shape == expected.shape
    # Scales are powers of two: nothing rounds.
    np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize(
    "seed",
    [pytest.param(k, marks=() if k < 40 else pytest.mark.slow) for k in range(120)],
)
def test_any_layer_is_exact(seed):
    rng = np.random.default_rng(seed)
    layer = random_layer(rng, terms=int(rng.integers(1, 3)))
    check(layer, random_image(rng, layer))


@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize("dilation", DILATIONS)
def test_every_dilation_with_every_kind_of_level(dilation, levels):
    rng = np.random.default_rng(dilation)
    layer = random_layer(rng, k=3, d=dilation, i=16, levels=levels)
    check(layer, random_image(rng, layer))


@pytest.mark.parametrize("channels", [*range(1, 26), 63, 100, 127, 129, 130])
def test_every_number_of_channels(channels):
    rng = np.random.default_rng(channels)
    for levels in ("signs", "neither"):
        layer = random_layer(rng, k=3, d=1, i=channels, levels=levels)
        check(layer, random_image(rng, layer))


def test_a_wrong_bit_is_seen():
    rng = np.random.default_rng(0)
    layer = random_layer(rng, k=3, d=1, i=16, levels="signs")
    x = random_image(rng, layer)
    signs = layer.terms[0].signs.copy()
    signs[0, 0, 1, 1] *= -1
    wrong = replace(layer, terms=(SignTerm(layer.terms[0].scale, signs),))
    ours = compile_layer(wrong, tuple(x.shape))(x.numpy())[0]
    assert (ours != integer_convolution(layer, x.numpy())).any()


@pytest.mark.parametrize("threshold", [0.0, -0.0, 1.0, -2.5, 1e-38, 3e30])
def test_below_is_the_next_float(threshold):
    cut = below(np.float32([threshold]))[0]
    assert np.float32(threshold) > cut
    if abs(threshold) > 1e-37:
        assert np.nextafter(cut, np.float32(np.inf)) == np.float32(threshold)


def test_bits_lie_from_the_lowest_place_on():
    signs = np.ones((1, 9, 1, 1), np.int8)
    signs[0, 1] = signs[0, 8] = -1
    assert pack_bits(signs).tolist() == [0b11111101, 0]
