"""An exported network in the place of a task model's encoder and head."""

from __future__ import annotations

import pytest

pytest.importorskip("openvino")

import torch
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from cmim.deploy.binary_layer import ExportError
from cmim.deploy.exported_model import Engine, load_exported
from cmim.deploy.network_core import NetworkCore
from cmim.deploy.openvino_export import convert_packed, describe, save_model
from cmim.deploy.packed_conv import PackedConv, pack_network
from cmim.deploy.verify import verify_layers
from cmim.engine.config import load_config, task_model_config

# Whole networks are compiled.
pytestmark = pytest.mark.full

HEIGHT, WIDTH = 40, 56
SMALL = {
    "model.model.backbone.base_channels": 8,
    "model.model.decode_head.in_channels": 64,
    "model.model.decode_head.channels": 8,
}


def tiny(task: str, head: str = "_binary_head", method: str | None = None) -> dict:
    options = dict(SMALL)
    if method:
        options["model.model.decode_head.method"] = method
        options["model.model.backbone.method"] = method
    config = load_config(f"configs/nyud_{task}_bireal{head}_small.py", options)
    return task_model_config(config)


def build(config: dict):
    torch.manual_seed(0)
    model = MODELS.build(config).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    return model


def export(model, path, batch: int = 2):
    example = torch.randn(batch, 3, HEIGHT, WIDTH)
    core, names = pack_network(NetworkCore(model), example)
    with torch.no_grad():
        core(example)
    converted = convert_packed(core, example)
    describe(converted, model)
    save_model(converted, path)
    return core, names, example


@pytest.mark.parametrize("task", ["seg", "depth"])
@pytest.mark.parametrize(
    "method",
    [
        "bireal",
        "reactnet",
        *(pytest.param(m, marks=pytest.mark.slow) for m in ("xnor_net", "hwgq")),
    ],
)
def test_binary_heads_are_exact_layer_by_layer(task, method, tmp_path):
    core, names, example = export(build(tiny(task, method=method)), tmp_path / "m.xml")
    head = [name for name in names if name.startswith("head.")]
    # Three atrous branches, and the projection of four maps.
    assert len(head) == 7
    packed = [n for n, m in core.named_modules() if isinstance(m, PackedConv)]
    assert sorted(packed) == sorted(names)
    rows = verify_layers(core, example)
    assert not [row for row in rows if row["wrong"]]


def test_head_of_a_full_precision_pyramid_stays_float(tmp_path):
    _, names, _ = export(build(tiny("seg", head="")), tmp_path / "m.xml")
    assert not [name for name in names if name.startswith("head.")]


@pytest.mark.parametrize("task", ["seg", "depth"])
@torch.no_grad()
def test_predictions_are_those_of_torch(task, tmp_path):
    config = tiny(task)
    model = build(config)
    path = tmp_path / "model.xml"
    export(model, path)
    exported = load_exported(config, path, threads=1)
    exported.load_state_dict(model.state_dict(), strict=False)
    shape = dict(img_shape=(HEIGHT, WIDTH), ori_shape=(HEIGHT, WIDTH))
    images = torch.randn(
        3, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1)
    )
    outputs = []
    for network in (model, exported):
        samples = [SegDataSample(metainfo=shape) for _ in images]
        outputs.append(network(images, samples, mode="predict"))
    for ours, theirs in zip(*outputs, strict=True):
        key = "pred_sem_seg" if task == "seg" else "pred_depth_map"
        a, b = getattr(ours, key).data, getattr(theirs, key).data
        assert a.shape == b.shape
        # Float rounding may flip a sign next to its threshold here and there.
        same = (a == b) if task == "seg" else ((a - b).abs() < 1e-3)
        assert same.float().mean() > 0.97


@torch.no_grad()
def test_any_number_of_images_goes_through(tmp_path):
    model = build(tiny("depth"))
    path = tmp_path / "model.xml"
    export(model, path, batch=2)
    engine = Engine(path, threads=1)
    images = torch.randn(5, 3, HEIGHT, WIDTH)
    (together,) = engine(images)
    apart = torch.cat([engine(image[None])[0] for image in images])
    assert together.shape[0] == 5
    assert torch.equal(together, apart)


def test_another_size_is_refused_with_the_way_out(tmp_path):
    path = tmp_path / "model.xml"
    export(build(tiny("depth")), path)
    with pytest.raises(ExportError, match=r"40x56 pixels.*32x56.*--size 32 56"):
        Engine(path)(torch.zeros(1, 3, 32, 56))


def test_missing_and_foreign_files_are_refused(tmp_path):
    with pytest.raises(ExportError, match="does not exist"):
        Engine(tmp_path / "none.xml")
    foreign = tmp_path / "foreign.xml"
    foreign.write_text("<net/>")
    with pytest.raises(ExportError, match="no exported model with a digest"):
        Engine(foreign)


def test_the_file_says_how_images_are_normalised(tmp_path):

    from cmim.deploy.shared_core import shared_core

    path = tmp_path / "model.xml"
    export(build(tiny("seg")), path)
    model = shared_core().read_model(path)
    mean = [float(v) for v in model.get_rt_info(["cmim", "mean"]).value.split()]
    std = [float(v) for v in model.get_rt_info(["cmim", "std"]).value.split()]
    assert mean == [123.675, 116.28, 103.53]
    assert std == [58.395, 57.12, 57.375]
