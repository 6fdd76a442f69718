"""Signs in float, as ONNX, read back by OpenVINO."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from layer_cases import LEVELS, at_thresholds, integer_convolution, random_layer
from network_cases import ADDITIONS, ENCODERS, check_alike, images, make
from torch import nn

from cmim.deploy.binary_layer import ExportError
from cmim.deploy.onnx_export import FloatConv, check_onnx, float_network, save_onnx
from cmim.deploy.packed_conv import PackedConv, pack_network
from cmim.deploy.seal import check_seal
from cmim.methods import available_methods


def run_in_openvino(path, x: np.ndarray) -> list[np.ndarray]:
    pytest.importorskip("openvino")
    from cmim.deploy.shared_core import shared_core

    options = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = shared_core().compile_model(str(path), "CPU", options)
    outputs = compiled(x)
    return [outputs[k] for k in range(len(outputs))]


@pytest.mark.parametrize("seed", range(40))
def test_any_layer_is_exact_in_float32(seed):
    rng = np.random.default_rng(seed)
    layer = random_layer(rng, terms=int(rng.integers(1, 3)))
    x = at_thresholds(rng, layer)
    ours = FloatConv(layer)(torch.from_numpy(x))
    assert ours.dtype == torch.float32
    # Scales are powers of two: nothing rounds.
    np.testing.assert_array_equal(ours, integer_convolution(layer, x))


def test_any_scale_differs_by_rounding_only():
    rng = np.random.default_rng(0)
    layer = random_layer(rng, o=9, i=20, k=3, d=1, levels="neither", terms=2)
    terms = tuple(replace(t, scale=rng.random(9, np.float32)) for t in layer.terms)
    layer = replace(layer, terms=terms, centred=True)
    x = torch.from_numpy(at_thresholds(rng, layer))
    torch.testing.assert_close(FloatConv(layer)(x), PackedConv(layer)(x))


class Several(nn.Module):
    """Packed layers beside one another, each with its own part of the channels."""

    def __init__(self, layers) -> None:
        super().__init__()
        self.layers = nn.ModuleList(PackedConv(layer) for layer in layers)

    def forward(self, x):
        parts = x.split([m.layer.shape[1] for m in self.layers], 1)
        return tuple(m(p) for m, p in zip(self.layers, parts, strict=True))


@pytest.mark.full
def test_layers_of_every_kind_are_exact_in_an_engine(tmp_path):
    pytest.importorskip("onnxscript")
    rng = np.random.default_rng(2)
    layers = [
        random_layer(rng, o=5, i=9 + k, k=3, d=1 + k, s=1 + k % 2, levels=levels)
        for k, levels in enumerate(LEVELS)
    ]
    parts = [
        np.resize(at_thresholds(rng, layer), (2, layer.shape[1], 13, 10))
        for layer in layers
    ]
    x = np.concatenate(parts, axis=1)
    core, path = Several(layers), tmp_path / "layers.onnx"
    save_onnx(core, torch.from_numpy(x), path)
    # An engine takes subnormal numbers for 0; beside a threshold of 0 there are some.
    x = np.where(np.abs(x) < 1e-37, 0, x).astype(np.float32)
    ours, start = run_in_openvino(path, x), 0
    for out, layer in zip(ours, layers, strict=True):
        part = x[:, start : start + layer.shape[1]]
        np.testing.assert_array_equal(out, integer_convolution(layer, part))
        start += layer.shape[1]


def check_network(name: str, method: str, path) -> None:
    x = images(4, 40, 48)
    core, _ = pack_network(make(name, method), x)
    save_onnx(core, x, path)
    with torch.no_grad():
        check_alike(run_in_openvino(path, x.numpy()), core(x))


@pytest.mark.full
def test_a_network_in_an_engine_is_the_one_in_torch(tmp_path):
    pytest.importorskip("onnxscript")
    check_network("vgg_small", "reactnet", tmp_path / "network.onnx")


@pytest.mark.slow
@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("method", [*available_methods(), *ADDITIONS])
def test_every_method_in_every_encoder_as_onnx(name, method, tmp_path):
    pytest.importorskip("onnxscript")
    check_network(name, method, tmp_path / "network.onnx")


@pytest.mark.full
def test_the_file_is_whole_and_says_how_images_are_normalised(tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    layer = random_layer(np.random.default_rng(0), i=3, k=3, d=1)
    path = tmp_path / "new" / "layer.onnx"
    normalisation = dict(mean=[1.5, 2.0, 3.0], std=[4.0, 5.0, 6.0])
    save_onnx(Several([layer]), torch.zeros(1, 3, 5, 6), path, normalisation)
    assert [file.name for file in path.parent.iterdir()] == ["layer.onnx"]
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    found = {entry.key: entry.value for entry in model.metadata_props}
    assert found["cmim.mean"] == "1.5 2 3"
    assert found["cmim.std"] == "4 5 6"
    check_seal(path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ExportError, match="onnx are not as they were exported"):
        check_onnx(path, {})
    assert [value.name for value in model.graph.input] == ["image"]
    assert {node.domain for node in model.graph.node} <= {"", "ai.onnx"}


def test_a_float_network_leaves_the_packed_one_alone():
    core, names = pack_network(make("vgg_small", "bnn"), torch.zeros(1, 3, 16, 16))
    float_network(core)
    packed = [n for n, m in core.named_modules() if isinstance(m, PackedConv)]
    assert packed == names


@pytest.mark.full
def test_the_file_names_no_folder_of_the_machine_that_wrote_it(tmp_path):
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU()).eval()
    save_onnx(net, torch.zeros(1, 3, 4, 4), tmp_path / "net.onnx")
    written = (tmp_path / "net.onnx").read_bytes()
    assert b"stack_trace" not in written
    assert str(Path(torch.__file__).parents[1]).encode() not in written
    assert str(Path(__file__).parent).encode() not in written
