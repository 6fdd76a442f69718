"""Exported classifiers and joint models, in place of their encoder and heads."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("openvino")
pytest.importorskip("onnx")
pytest.importorskip("onnxscript")

import numpy as np
import torch
from mmseg.models import SegDataPreProcessor
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from network_cases import disturb, images

import cmim.encoders  # noqa: F401 - all register their parts
import tasks.classification
import tasks.depth
import tasks.edges
import tasks.multitask
import tasks.normals
import tasks.segmentation  # noqa: F401
from cmim.deploy.binary_layer import ExportError
from cmim.deploy.compare_outputs import compare_outputs
from cmim.deploy.exported_model import load_exported
from cmim.deploy.formats import export_formats
from cmim.deploy.formats.format import Checked, PackedNetwork
from cmim.deploy.network_core import NetworkCore
from cmim.deploy.openvino_export import convert_packed, describe, save_model
from cmim.deploy.packed_conv import pack_network
from cmim.deploy.verify import verify_layers

# Whole networks are compiled.
pytestmark = pytest.mark.full

SIZE = 32, 48
DENSE = dict(
    in_channels=64, channels=8, dilations=(1,), method="bireal", binary_projection=True
)
HEADS = dict(
    seg=dict(type="DeepLabHead", num_classes=5, **DENSE),
    depth=dict(type="DepthHead", **DENSE),
    normals=dict(type="NormalHead", **DENSE),
    edges=dict(type="EdgeHead", **DENSE),
    scene=dict(type="LinearHead", in_channels=64, num_classes=4),
)
PREDICTIONS = ("pred_depth_map", "pred_normal_map", "pred_edge_map")


def classifier(encoder: str) -> dict:
    kinds = dict(
        BinaryResNet=(dict(depth=20, base_channels=8), dict(in_channels=32)),
        BinaryVGGSmall=(dict(base_channels=4), dict(in_channels=256, pool=False)),
    )
    backbone, head = kinds[encoder]
    return dict(
        type="ImageClassifier",
        backbone=dict(type=encoder, method="bireal", **backbone),
        head=dict(type="LinearHead", num_classes=10, **head),
    )


def joint(*names: str, **options) -> dict:
    return dict(
        type="MultiTaskModel",
        backbone=dict(type="BinaryResNet", method="bireal", base_channels=8),
        heads={name: HEADS[name] for name in names or HEADS},
        data_preprocessor=dict(
            type=SegDataPreProcessor, mean=[127.0] * 3, std=[60.0] * 3, size_divisor=1
        ),
        **options,
    )


def build(config: dict):
    torch.manual_seed(0)
    return disturb(MODELS.build(config).eval())


def pack(model, size=SIZE):
    example = images(2, *size)
    core, names = pack_network(NetworkCore(model), example)
    with torch.no_grad():
        core(example)
    return core, names, example


def export(model, path, size=SIZE):
    core, names, example = pack(model, size)
    converted = convert_packed(core, example)
    describe(converted, model)
    save_model(converted, path)
    return core, names, example


def predict(model, given) -> list:
    shape = tuple(given.shape[2:])
    meta = dict(img_shape=shape, ori_shape=(40, 50))
    return model(given, [SegDataSample(metainfo=meta) for _ in given], mode="predict")


@pytest.mark.parametrize(
    ("encoder", "count"), [("BinaryResNet", 18), ("BinaryVGGSmall", 5)]
)
@torch.no_grad()
def test_an_exported_classifier_classifies_alike(encoder, count, tmp_path):
    config, path = classifier(encoder), tmp_path / "model.xml"
    model = build(config)
    core, names, example = export(model, path, (32, 32))
    assert len(names) == count
    assert not [row for row in verify_layers(core, example) if row["wrong"]]
    given = images(15, 32, 32)
    exported = load_exported(config, path, threads=1)
    rows = [
        torch.stack([s.pred_logits for s in predict(network, given)])
        for network in (model, exported)
    ]
    assert rows[1].shape == (15, 10)
    assert rows[0].std(dim=0).min() > 1e-3
    # Float rounding flips a sign beside its threshold in an image here and there.
    off = (rows[1] - rows[0]).abs().amax(dim=1)
    assert (off < 1e-4 * rows[0].abs().max()).float().mean() > 0.7
    labels = [s.pred_label.item() for s in predict(exported, given)]
    assert labels == rows[1].argmax(dim=1).tolist()


@torch.no_grad()
@pytest.mark.slow
def test_an_exported_joint_model_predicts_every_task_alike(tmp_path):
    config, path = joint(bottleneck=0.1), tmp_path / "model.xml"
    model = build(config)
    model.bottleneck.mean.weight.normal_(0, 0.1)
    core, names, example = export(model, path)
    # The atrous branch, and the projection of two maps.
    assert len([name for name in names if name.startswith("heads.edges.")]) == 3
    assert not [row for row in verify_layers(core, example) if row["wrong"]]
    exported = load_exported(config, path, threads=1)
    passes: list[int] = []
    exported.backbone.register_forward_hook(lambda *_: passes.append(1))
    given = images(5, *SIZE)
    pairs = list(zip(predict(exported, given), predict(model, given), strict=True))
    assert passes == [1]
    for name in PREDICTIONS:
        off = torch.stack(
            [(a.get(name).data - b.get(name).data).abs() for a, b in pairs]
        )
        assert (off < 1e-3).float().mean() > 0.95, name
    same = [a.pred_sem_seg.data == b.pred_sem_seg.data for a, b in pairs]
    assert torch.stack(same).float().mean() > 0.95
    off = torch.stack([(a.pred_logits - b.pred_logits).abs().max() for a, b in pairs])
    assert (off < 1e-4).float().mean() > 0.5
    outputs = exported(given)
    assert list(outputs) == list(HEADS)
    assert outputs["normals"].shape[1] == 3


def test_a_model_of_other_tasks_is_refused(tmp_path):
    path = tmp_path / "model.xml"
    export(build(joint("depth", "seg")), path)
    said = r"with heads for depth, seg, and this config has {}: use the config"
    with pytest.raises(ExportError, match=said.format("seg, depth")):
        load_exported(joint("seg", "depth"), path)
    with pytest.raises(ExportError, match=said.format("one task")):
        load_exported(classifier("BinaryResNet"), path)


def write_and_check(name: str, config: dict, folder: Path) -> Checked:
    model = build(config)
    core, names, example = pack(model)
    network = PackedNetwork(core, names, example, model, {}, "float32", list)
    form = export_formats()[name]
    form.write(network, folder / f"m{form.suffix}")
    return form.check(network, folder / f"m{form.suffix}")


@pytest.mark.slow
def test_other_formats_have_all_outputs_in_order(tmp_path):
    for config in (joint("depth", "scene", "seg", bottleneck=0.1), joint()):
        found = write_and_check("npz", config, tmp_path)
        assert not [row for row in found["verified"] if row["wrong"]]
        assert found["difference"] < 0.02 * found["largest"]
    found = write_and_check("onnx", joint(), tmp_path)
    assert found["difference"] < 0.02 * found["largest"]


def test_of_several_outputs_the_worst_for_its_size_is_reported():
    expected = [torch.tensor([[100.0, 0.0]]), torch.tensor([[1.0, 0.0]])]
    ours = [np.float32([[99.0, 0.0]]), np.float32([[0.5, 0.0]])]
    found = compare_outputs(ours, expected)
    assert found == dict(difference=0.5, largest=1.0)
