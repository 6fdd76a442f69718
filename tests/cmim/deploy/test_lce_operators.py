"""Raw programs as operators of TensorFlow, here in NumPy: values, names, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from network_cases import ADDITIONS, images, make
from numpy_tensorflow import numpy_tensorflow
from operation_cases import OPERATIONS, rounding

from cmim.deploy.lce.convert import run_program
from cmim.deploy.lce.layout import channels_first, channels_last
from cmim.deploy.lce.operators import Operators, TranslationError
from cmim.deploy.numpy_reference import OPERATORS
from cmim.deploy.packed_conv import pack_network
from cmim.deploy.raw_trace import build_program
from cmim.methods import available_methods

REFUSED = {"max_pool_dilated": "no max_pool with dilation: export to .xml or .onnx"}


def translated(network, x: np.ndarray) -> list[np.ndarray]:
    outputs = run_program(numpy_tensorflow, network, channels_last(x), len(x))
    return [channels_first(output) for output in outputs]


@pytest.mark.parametrize("name", [n for n in OPERATIONS if n not in REFUSED])
@pytest.mark.parametrize("size", [(9, 11), (8, 11)])
def test_an_operation_is_that_of_the_raw_format(name, size):
    if name == "map" and size != (9, 11):
        pytest.skip("its map has one size")
    torch.manual_seed(0)
    x = images(3, *size)
    network = build_program(OPERATIONS[name].eval(), x[:1]).network()
    (ours,) = translated(network, x.numpy())
    expected = network.run(x.numpy())
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=rounding(name))


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_engine_lacks_is_refused_by_name(name):
    x = images(1, 9, 11)
    network = build_program(torch.nn.Sequential(OPERATIONS[name]).eval(), x).network()
    with pytest.raises(TranslationError, match=rf"^0: .*{REFUSED[name]}"):
        translated(network, x.numpy())


def test_every_operation_of_the_format_has_a_form():
    known = {name.removeprefix("on_") for name in dir(Operators) if name[:3] == "on_"}
    assert known | {"binary_conv"} == set(OPERATORS)


def test_an_unknown_operation_is_refused_by_its_layer():
    step = dict(op="eval", name="head.last", output="v3", inputs=[], shape=[1])
    with pytest.raises(TranslationError, match=r"^head\.last: .* raw format's eval"):
        Operators(numpy_tensorflow, 1)(step, {}, [], [])


@pytest.mark.parametrize(
    "method",
    [
        pytest.param(m, marks=() if m in ("bireal", "adabin") else pytest.mark.slow)
        for m in [*available_methods(), *ADDITIONS]
    ],
)
@torch.no_grad()
def test_a_network_of_every_method_is_that_of_the_raw_format(method):
    encoder, x = make("vgg_small", method), images(2, 24, 32)
    core, _ = pack_network(encoder, x)
    network = build_program(core, x[:1]).network()
    expected = network.run(x.numpy())
    expected = expected if isinstance(expected, tuple) else (expected,)
    for ours, other in zip(translated(network, x.numpy()), expected, strict=True):
        off = np.abs(ours - other) > 1e-4 * np.abs(other).max()
        assert off.mean() < 0.02
