"""Whoever reads a checkpoint or an exported file compares what matters to it."""

from __future__ import annotations

import copy
import json
import logging
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmseg.registry import MODELS

from cmim.checkpoint import structure
from cmim.engine.config import ConfigError, load_config, task_model_config
from cmim.engine.evaluate import load_task_model
from cmim.engine.runner import CMIMRunner
from cmim.engine.train import _check_teacher
from cmim.identity import _note, identity_of
from cmim.inspect import compare_gradients
from cmim.models import full_precision_twin
from cmim.models.twin import load_teacher

ROOT = Path(__file__).resolve().parents[3]
TINY = {
    "model.model.backbone.base_channels": 2,
    "model.model.decode_head.in_channels": 16,
    "model.model.decode_head.channels": 2,
}
LOGITS = [dict(type="LogitDistillationLoss", weight=1.0)]


def tiny_config():
    return load_config(ROOT / "configs/rooms_seg_bireal.py", TINY)


@pytest.fixture(scope="module")
def networks():
    """Checkpoints of the network and of its twin, and what both answer."""
    config = tiny_config()
    task, found = task_model_config(config), {}
    for name, model in (("own", task), ("twin", full_precision_twin(task))):
        built = MODELS.build(model)
        found[name] = dict(state_dict=built.state_dict(), structure=structure(built))
    return SimpleNamespace(config=config, identity=identity_of(config), **found)


def head(**values):
    return lambda identity: identity["heads"]["seg"].update(values)


def pictures(**values):
    return lambda identity: identity["pictures"].update(values)


# What a file says otherwise than the config.
MISMATCHES = {
    "task": head(type="DepthHead"),
    "count": head(num_classes=3),
    "range": head(depth_range=[0.1, 80.0]),
    "order": lambda identity: identity["classes"].reverse(),
    "mean": pictures(mean=[0.0, 0.0, 0.0]),
    "std": pictures(std=[1.0, 1.0, 1.0]),
    "channels": pictures(swapped=True),
}
NORMALISATION = {"mean", "std", "channels"}
ANSWERS = NORMALISATION | {"count", "range", "order"}


def resume(path, networks):
    runner = SimpleNamespace(
        model=MODELS.build(task_model_config(networks.config)),
        cfg=networks.config,
        _resume=True,
        _check_conditions=lambda *_: None,
        call_hook=lambda *_, **__: None,
        logger=logging.getLogger(__name__),
    )
    CMIMRunner.load_checkpoint(runner, str(path))


def teach(path, networks, **options):
    """What train does with a config that names a teacher."""
    config = copy.deepcopy(networks.config)
    config.model.update(dict(teacher=str(path), **options))
    model = MODELS.build(config.model)
    _check_teacher(SimpleNamespace(model=model), config)


def latency(path, networks, twin: bool = False):
    pytest.importorskip("openvino")
    from cmim.bench.latency.variants import build_networks

    paths = (None, str(path)) if twin else (str(path), None)
    build_networks(task_model_config(networks.config), *paths, networks.identity)


# Reader: which network it takes, what it does, and what it must not read.
READERS = {
    "test, predict, export, analyze": (
        "own",
        lambda path, networks: load_task_model(networks.config, str(path)),
        set(MISMATCHES),
    ),
    "resume": ("own", resume, set(MISMATCHES)),
    "gradients": (
        "own",
        lambda path, networks: compare_gradients._trained(
            networks.config, str(path), None
        ),
        set(MISMATCHES),
    ),
    "latency": ("own", latency, set(MISMATCHES)),
    "latency of the twin": (
        "twin",
        lambda path, networks: latency(path, networks, twin=True),
        set(MISMATCHES),
    ),
    "teacher of features": (
        "twin",
        lambda path, networks: teach(path, networks, partner="teacher"),
        NORMALISATION,
    ),
    "teacher of logits": (
        "twin",
        lambda path, networks: teach(
            path, networks, partner="none", added_losses=LOGITS
        ),
        ANSWERS,
    ),
    "analyze --teacher": (
        "twin",
        lambda path, networks: load_teacher(
            task_model_config(networks.config), str(path), "--teacher"
        ),
        NORMALISATION,
    ),
}


def write(path, networks, kind, change=None, identity=True):
    content = dict(getattr(networks, kind))
    if identity:
        content["identity"] = copy.deepcopy(networks.identity)
        if change is not None:
            change(content["identity"])
    torch.save(content, path)
    return path


@pytest.mark.parametrize("reader", READERS)
def test_each_reader_refuses_what_means_something_else(reader, networks, tmp_path):
    kind, read, refused = READERS[reader]
    for name, change in MISMATCHES.items():
        path = write(tmp_path / f"{name}.pth", networks, kind, change)
        if name in refused:
            with pytest.raises(ValueError, match=r"\.pth' is of another task: its "):
                read(path, networks)
        else:
            read(path, networks)


@pytest.mark.parametrize("reader", READERS)
def test_files_from_before_are_read_with_a_line(
    reader, networks, tmp_path, monkeypatch
):
    said = []
    monkeypatch.setattr("cmim.identity.print_log", lambda text, **_: said.append(text))
    _note.cache_clear()
    kind, read, _ = READERS[reader]
    read(write(tmp_path / "old.pth", networks, kind, identity=False), networks)
    assert len(said) == 1
    assert "old.pth' does not say of which task it is" in said[0]


def test_a_start_of_training_compares_nothing(networks, tmp_path):
    """Whatever the file answers, the network will answer what it learns."""
    path = write(tmp_path / "other.pth", networks, "own", MISMATCHES["mean"])
    config = copy.deepcopy(networks.config)
    config.model.model.backbone.init_from = str(path)
    MODELS.build(task_model_config(config)).init_weights()


@pytest.mark.parametrize("name", ["seg.npz", "seg.onnx"])
def test_files_for_other_engines_are_named(name, networks):
    with pytest.raises(ConfigError, match=r"is exported for other engines; here run"):
        load_task_model(networks.config, name)


@pytest.mark.parametrize("name", MISMATCHES)
def test_every_exported_format_says_and_compares_it(name, networks, tmp_path):
    """As files: an ``.onnx`` and an ``.xml`` of one layer, a raw program of one."""
    own, saved = networks.identity, copy.deepcopy(networks.identity)
    MISMATCHES[name](saved)
    for check in (openvino_file, onnx_file, raw_file):
        check(tmp_path, own, own)
        with pytest.raises(ValueError, match="is of another task: its "):
            check(tmp_path, saved, own)


def openvino_file(folder, saved, own):
    ov = pytest.importorskip("openvino")
    from cmim.deploy.exported_model import Engine
    from cmim.deploy.openvino_export import save_model
    from cmim.identity import check_identity

    image = ov.opset13.parameter([1, 3], np.float32)
    model = ov.Model([ov.opset13.relu(image)], [image])
    model.set_rt_info(json.dumps(saved), ["cmim", "identity"])
    save_model(model, folder / "a.xml")
    check_identity(own, Engine(folder / "a.xml", threads=1).identity, "a.xml")


def onnx_file(folder, saved, own):
    onnx = pytest.importorskip("onnx")
    from cmim.deploy.onnx_export import check_onnx
    from cmim.deploy.seal import EMPTY, seal

    graph = onnx.helper.make_graph([], "empty", [], [])
    model = onnx.helper.make_model(graph)
    note = {"cmim.identity": json.dumps(saved), "cmim.sha256": EMPTY}
    onnx.helper.set_model_props(model, note)
    onnx.save(model, folder / "a.onnx")
    seal(folder / "a.onnx")
    check_onnx(folder / "a.onnx", own)


def raw_file(folder, saved, own):
    from cmim.deploy.numpy_reference import load_network
    from cmim.deploy.raw_program import INPUT, Program, Step
    from cmim.identity import check_identity

    step = Step("relu", (INPUT,), "out", (3, 2, 2))
    Program((3, 2, 2), (step,), ("out",), {}, saved).save(folder / "a.npz")
    found = load_network(folder / "a.npz").document["identity"]
    check_identity(own, found, "a.npz")
