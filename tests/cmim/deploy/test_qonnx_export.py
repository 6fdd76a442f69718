"""Files of QONNX in qonnx's executor: layers are torch's, and so is the network."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("qonnx", reason="qonnx is not installed: pip install cmim[fpga]")

import onnx
from fused_heads import SIZE, fused
from network_cases import ADDITIONS, REAL_ACTIVATIONS, check_alike, images, make
from operation_cases import OPERATIONS, rounding
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from test_raw_program import with_head
from torch import nn

from cmim.deploy.binary_layer import ExportError
from cmim.deploy.packed_conv import pack_network
from cmim.deploy.qonnx_export import QonnxNetwork, compare_layers, save_qonnx
from cmim.deploy.seal import EMPTY, seal
from cmim.layers import BinaryConv2d, BinaryUnit
from cmim.methods import available_methods, get_method

FEW = ("bireal", "reactnet")


def saved(core: nn.Module, x: torch.Tensor, folder, count: int = 1) -> QonnxNetwork:
    names = ["output"] if count == 1 else [f"cmim.{k}" for k in range(count)]
    save_qonnx(core, x, folder / "net.qonnx", names)
    return QonnxNetwork(folder / "net.qonnx")


@pytest.mark.full
@pytest.mark.parametrize("name", OPERATIONS)
@torch.no_grad()
def test_an_operation_is_that_of_torch(name, tmp_path):
    torch.manual_seed(0)
    module, x = OPERATIONS[name].eval(), images(2, 9, 11)
    (ours,) = saved(module, x, tmp_path).run(x.numpy())
    np.testing.assert_allclose(ours, module(x), rtol=1e-5, atol=rounding(name))


@pytest.mark.parametrize(
    "method",
    [
        pytest.param(m, marks=() if m in FEW else pytest.mark.full)
        for m in [*available_methods(), *ADDITIONS]
    ],
)
@torch.no_grad()
def test_every_layer_is_exact(method, tmp_path):
    x = images(2, 32, 32)
    core, packed = pack_network(make("vgg_small", method), x)
    expected = core(x)
    written = saved(core, x, tmp_path, len(expected))
    tensors = written.tensors(x.numpy())
    rows = compare_layers(written.layers, tensors, core)
    assert sorted(row["layer"] for row in rows) == sorted(packed)
    assert len(rows) == (0 if method in REAL_ACTIVATIONS else 5)
    assert not [row for row in rows if row["wrong"]]
    check_alike([tensors[name] for name in written.names], expected)


def unit_and_input(method: str) -> tuple[nn.Module, torch.Tensor]:
    """A layer whose input lies at its thresholds, or at the next float beside them."""
    torch.manual_seed(0)
    unit = BinaryUnit(5, 7, 3, method).eval()
    unit.bn, unit.nonlinearity = nn.Identity(), nn.Identity()
    for parameter in unit.binarize.parameters():
        parameter.data.normal_()
    (step,) = unit.binarize.steps(torch.zeros(1, 5, 1, 1))
    at = step.threshold.expand(1, 5, 6, 6).clone()
    below, above = (at.nextafter(torch.full_like(at, end)) for end in (-9e9, 9e9))
    choice = torch.randint(4, at.shape)
    x = torch.where(choice == 0, below, torch.where(choice == 1, above, at))
    # Both zeros are +1 where the threshold is 0.
    return unit, torch.where((choice == 3) & (at == 0), -0.0, x)


@pytest.mark.parametrize("method", ["bireal", "reactnet", "dorefa", "bnn"])
@torch.no_grad()
def test_signs_at_the_threshold_are_plus_one(method, tmp_path):
    unit, x = unit_and_input(method)
    core, _ = pack_network(unit, x)
    (ours,) = saved(core, x, tmp_path).run(x.numpy())
    np.testing.assert_array_equal(ours, core(x))
    assert (ours != 0).any()


@pytest.mark.full
@pytest.mark.parametrize("kind", ["linear_flat", "depth", "deeplab"])
@torch.no_grad()
def test_a_network_with_its_head(kind, tmp_path):
    model, x = with_head(kind)
    core, _ = pack_network(model, x)
    (ours,) = saved(core, x, tmp_path).run(x.numpy())
    check_alike([ours], [core(x)])


def transformations() -> list:
    """What FINN's and hls4ml's readers begin with, in their order."""
    from qonnx.transformation.batchnorm_to_affine import BatchNormToAffine
    from qonnx.transformation.extract_conv_bias import ExtractBiasFromConv
    from qonnx.transformation.fold_constants import FoldConstants
    from qonnx.transformation.gemm_to_matmul import GemmToMatMul
    from qonnx.transformation.general import (
        ConvertDivToMul,
        ConvertSubToAdd,
        GiveReadableTensorNames,
        GiveUniqueNodeNames,
        GiveUniqueParameterTensors,
        RemoveStaticGraphInputs,
        RemoveUnusedTensors,
        SortGraph,
    )
    from qonnx.transformation.infer_data_layouts import InferDataLayouts
    from qonnx.transformation.infer_datatypes import InferDataTypes
    from qonnx.transformation.infer_shapes import InferShapes
    from qonnx.transformation.quant_constant_folding import FoldTransposeIntoQuantInit
    from qonnx.transformation.remove import RemoveIdentityOps

    return [
        InferShapes(),
        GiveUniqueParameterTensors(),
        FoldConstants(exclude_op_types=["Quant", "BipolarQuant"]),
        FoldTransposeIntoQuantInit(),
        RemoveUnusedTensors(),
        RemoveStaticGraphInputs(),
        GiveUniqueNodeNames(),
        GiveReadableTensorNames(),
        InferDataTypes(),
        InferDataLayouts(),
        ExtractBiasFromConv(),
        GemmToMatMul(),
        BatchNormToAffine(),
        ConvertSubToAdd(),
        ConvertDivToMul(),
        RemoveIdentityOps(),
        SortGraph(),
        InferShapes(),
        InferDataTypes(),
    ]


def run_plain(model: ModelWrapper, x: torch.Tensor) -> np.ndarray:
    """The output, whatever input and output are called by now."""
    name = model.graph.input[0].name
    (output,) = execute_onnx(model, {name: x.numpy()}).values()
    return output


@pytest.mark.full
@pytest.mark.parametrize("kind", ["depth", "fused"])
@torch.no_grad()
def test_transformations_leave_the_outputs_as_they_are(kind, tmp_path):
    fused_normals = (fused("normals"), images(1, *SIZE))
    model, x = fused_normals if kind == "fused" else with_head(kind)
    core, packed = pack_network(model, x)
    written = saved(core, x, tmp_path)
    (expected,) = written.run(x.numpy())
    plain = written.model
    for transformation in transformations():
        plain = plain.transform(transformation)
        found = run_plain(plain, x)
        name = type(transformation).__name__
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6, err_msg=name)
    kinds = [node.op_type for node in plain.graph.node]
    assert "Sub" not in kinds
    assert kinds.count("BipolarQuant") >= 2 * len(packed)
    bipolar = [
        node.output[0] for node in plain.graph.node if node.op_type == "BipolarQuant"
    ]
    assert {plain.get_tensor_datatype(name).name for name in bipolar} == {"BIPOLAR"}


@pytest.mark.full
@torch.no_grad()
def test_cleanup_and_channels_last_give_the_same(tmp_path):
    from qonnx.transformation.channels_last import ConvertToChannelsLastAndClean
    from qonnx.util.cleanup import cleanup_model

    model, x = with_head("deeplab")
    core, _ = pack_network(model, x[:1])
    written = saved(core, x[:1], tmp_path)
    (expected,) = written.run(x[:1].numpy())
    clean = cleanup_model(written.model)
    np.testing.assert_allclose(run_plain(clean, x[:1]), expected, rtol=1e-5, atol=1e-6)
    last = cleanup_model(clean.transform(ConvertToChannelsLastAndClean()))
    found = run_plain(last, x[:1])
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_weights_are_bipolar_and_the_file_says_what_is_in_it(tmp_path):
    core, packed = pack_network(make("vgg_small", "bireal"), images(1, 32, 32))
    save_qonnx(
        core,
        images(1, 32, 32),
        tmp_path / "net.qonnx",
        [f"cmim.{k}" for k in range(len(core(images(1, 32, 32))))],
        dict(mean=[1.0, 2.0, 3.0]),
        dict(classes=["a"]),
    )
    written = QonnxNetwork(tmp_path / "net.qonnx")
    assert written.identity == dict(classes=["a"])
    assert written.shape == (1, 3, 32, 32)
    assert [name for name, _, _ in written.layers] == packed
    graph = written.model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    quantized = [n for n in graph.node if n.op_type == "BipolarQuant"]
    assert {n.domain for n in quantized} == {"qonnx.custom_op.general"}
    assert len([n for n in quantized if n.input[0] in constants]) == len(packed)
    for node in quantized:
        assert onnx.numpy_helper.to_array(constants[node.input[1]]) == 1


def test_a_damaged_file_is_refused(tmp_path):
    core, _ = pack_network(nn.Conv2d(3, 2, 1), images(1, 4, 4))
    saved(core, images(1, 4, 4), tmp_path)
    path = tmp_path / "net.qonnx"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ExportError, match=r"not as they were|no exported model"):
        QonnxNetwork(path)
    path.write_bytes(b"")
    with pytest.raises(ExportError, match="no exported model with a digest"):
        QonnxNetwork(path)
    with pytest.raises(ExportError, match=r"absent\.qonnx does not exist"):
        QonnxNetwork(tmp_path / "absent.qonnx")


def other_domain(model):
    model.graph.node[0].domain = "antigravity"


def other_file(model):
    tensor = model.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "/etc/hostname"


def other_operator(model):
    model.graph.node[0].op_type = "Loop"


def other_note(model):
    for entry in model.metadata_props:
        entry.value = "[" if entry.key == "cmim.layers" else entry.value


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (other_domain, "of type antigravity:Conv, which no export writes"),
        (other_file, "numbers in another file"),
        (other_operator, "of type :Loop"),
        (other_note, "is damaged: Expecting value"),
    ],
)
def test_what_no_export_writes_is_not_run(change, words, tmp_path):
    """Under a digest that is right."""
    core, _ = pack_network(nn.Conv2d(3, 2, 1), images(1, 4, 4))
    saved(core, images(1, 4, 4), tmp_path)
    path = tmp_path / "net.qonnx"
    model = onnx.load_from_string(path.read_bytes())
    change(model)
    for entry in model.metadata_props:
        entry.value = EMPTY if entry.key == "cmim.sha256" else entry.value
    path.write_bytes(model.SerializeToString())
    seal(path)
    with pytest.raises(ExportError, match=words):
        QonnxNetwork(path)


def test_what_cannot_be_expressed_is_refused_by_name(tmp_path):
    net = nn.Sequential(nn.Conv2d(3, 2, 1), nn.Softplus()).eval()
    with pytest.raises(ExportError, match=r"^1: QONNX files have no aten\.softplus"):
        saved(net, images(1, 4, 4), tmp_path)
    assert not (tmp_path / "net.qonnx").exists()


@torch.no_grad()
def test_groups_are_convolutions_side_by_side(tmp_path):
    method = get_method("reactnet")
    conv = BinaryConv2d(16, 8, 3, method=method, groups=2, padding=1)
    net = nn.Sequential(method.activation(16), conv).eval()
    x = torch.randn(1, 16, 5, 5)
    core, _ = pack_network(net, x)
    (ours,) = saved(core, x, tmp_path).run(x.numpy())
    np.testing.assert_array_equal(ours, core(x))
