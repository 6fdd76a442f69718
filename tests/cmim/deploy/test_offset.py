"""An offset of the weights: exact in every engine, and one filter instead of O."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from layer_cases import (
    LEVELS,
    at_thresholds,
    integer_convolution,
    random_layer,
    with_offset,
)

import cmim.deploy.numpy_reference as reference
from cmim.deploy.binary_layer import BinaryLayer
from cmim.deploy.numpy_reference import binary_conv
from cmim.deploy.onnx_export import FloatConv
from cmim.deploy.packed_conv import PackedConv
from cmim.deploy.raw_program import INPUT, binary_step

seeds = pytest.mark.parametrize("seed", range(12))


def run_raw(layer: BinaryLayer, x: np.ndarray) -> np.ndarray:
    step = binary_step(layer, INPUT, "out", ())
    return binary_conv(step.options, step.arrays, x)


def offset_layer(seed: int, **chosen) -> tuple[BinaryLayer, np.ndarray]:
    """Any layer with an offset, and images; scales are powers of two."""
    rng = np.random.default_rng(seed)
    levels = list(LEVELS)[seed % len(LEVELS)]
    layer = with_offset(rng, random_layer(rng, **{"levels": levels, **chosen}))
    return layer, at_thresholds(rng, layer)


@seeds
def test_every_way_to_compute_it_is_exact(seed):
    layer, x = offset_layer(seed)
    expected = integer_convolution(layer, x)
    np.testing.assert_array_equal(PackedConv(layer)(torch.from_numpy(x)), expected)
    np.testing.assert_array_equal(FloatConv(layer)(torch.from_numpy(x)), expected)
    np.testing.assert_array_equal(run_raw(layer, x), expected)


@seeds
def test_the_engine_is_exact(seed):
    pytest.importorskip("openvino")
    from cmim.deploy.verify import compile_layer, near_thresholds

    layer, x = offset_layer(seed)
    # Engines take subnormal numbers for 0.
    noise = np.random.default_rng(seed).standard_normal(x.shape).astype(np.float32)
    x = near_thresholds(layer.steps[0], torch.from_numpy(noise)).numpy()
    ours = compile_layer(layer, x.shape)(x)[0]
    np.testing.assert_array_equal(ours, integer_convolution(layer, x))


def test_any_scale_gives_the_bits_that_torch_gives():
    layer, x = offset_layer(3, o=7, k=3, d=1)
    rng = np.random.default_rng(0)
    terms = tuple(replace(t, scale=rng.random(7, np.float32)) for t in layer.terms)
    layer = replace(layer, terms=terms)
    theirs = PackedConv(layer)(torch.from_numpy(x)).numpy()
    np.testing.assert_array_equal(run_raw(layer, x), theirs)


def test_an_offset_by_hand():
    """Weights 2 s + 3 with s = +1, -1: 5 and 1; codes +1 and -1 give 5 - 1."""
    layer, _ = offset_layer(0, o=2, i=2, k=1, d=1, s=1, levels="signs")
    signs = np.int8([[[[1]], [[-1]]], [[[-1]], [[-1]]]])
    terms = (
        replace(layer.terms[0], scale=np.float32([2, 2]), signs=signs),
        replace(layer.terms[1], scale=np.float32([3, 0])),
    )
    step = replace(layer.steps[0], threshold=np.float32([0]))
    layer = replace(layer, steps=(step,), terms=terms)
    x = np.float32([0.5, -0.5]).reshape(1, 2, 1, 1)
    assert run_raw(layer, x).ravel().tolist() == [4.0, 0.0]
    assert PackedConv(layer)(torch.from_numpy(x)).flatten().tolist() == [4.0, 0.0]


def test_it_is_one_filter_and_no_further_product(monkeypatch):
    layer, x = offset_layer(1, o=6, k=3, d=1, levels="signs")
    assert [term.is_shared for term in layer.terms] == [False, True]
    assert [len(term.filters) for term in layer.terms] == [6, 1]
    assert layer.products == 1
    assert FloatConv(layer).signs1.shape[0] == 1
    convolve, filters = reference.convolve, []

    def counting(x, weight, step):
        filters.append(len(weight))
        return convolve(x, weight, step)

    monkeypatch.setattr(reference, "convolve", counting)
    run_raw(layer, x)
    assert filters == [6, 1]


def test_the_engine_has_one_filter_for_it():
    pytest.importorskip("openvino")
    from cmim.deploy.verify import compile_layer

    layer, x = offset_layer(1, o=6, k=3, d=1, levels="signs")
    model = compile_layer(layer, x.shape).get_runtime_model()
    outputs = sorted(
        node.get_output_partial_shape(0)[1].get_length()
        for node in model.get_ordered_ops()
        if "Binary" in node.get_rt_info()["layerType"].astype(str)
    )
    assert outputs == [1, 6]


def test_a_layer_of_one_filter_has_nothing_to_share():
    layer, _ = offset_layer(0, o=1)
    assert not any(term.is_shared for term in layer.terms)
