"""A malicious file is planted at every door: nothing runs, nothing is fetched."""

from __future__ import annotations

import argparse
import io
import os
import pickle
import socket
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import mmengine
import numpy as np
import pytest
import torch
from mmengine.config import Config, DictAction
from mmengine.runner import CheckpointLoader
from mmengine.runner import checkpoint as mmengine_checkpoint
from torch import nn

import cmim.safe_loading  # noqa: F401
from cmim.checkpoint import CheckpointError, load_task_weights, read_checkpoint
from cmim.deploy.numpy_reference import load_network
from cmim.encoders import BinaryResNet
from cmim.encoders.pretrained import load_latent_weights
from cmim.engine.config import load_config
from cmim.engine.runner import CMIMRunner, last_whole_checkpoint
from cmim.models.twin import load_teacher
from tasks.datasets.cifar import read_plain_pickle
from tasks.datasets.frame_files import read_depth


class CreatesFolder:
    """Unpickling this object creates a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.fixture
def marker(tmp_path) -> Path:
    return tmp_path / "executed"


def encoder(path: object, **options) -> BinaryResNet:
    init_cfg = dict(type="Pretrained", checkpoint=str(path), **options)
    return BinaryResNet(depth=18, base_channels=8, init_cfg=init_cfg)


def runner_loads(path: Path) -> None:
    CMIMRunner.load_checkpoint(SimpleNamespace(model=nn.Linear(1, 1)), str(path))


def whole_run(path: Path) -> None:
    path.rename(path.with_name("last.pth"))
    assert last_whole_checkpoint(path.parent) is None
    raise CheckpointError("the run's checkpoint is not whole")


# Readers of a checkpoint's path: this project's, mmengine's and torch's.
DOORS: dict[str, Callable[[Path], object]] = {
    "read_checkpoint": read_checkpoint,
    "load_task_weights": lambda p: load_task_weights(nn.Linear(1, 1), p),
    "init_from": lambda p: load_latent_weights(encoder("none"), p),
    "teacher": lambda p: load_teacher(dict(type="x"), str(p), "partner", None),
    "load_from and resume": runner_loads,
    "last_whole_checkpoint": whole_run,
    "init_cfg": lambda p: encoder(p).init_weights(),
    "init_cfg with a prefix": lambda p: encoder(p, prefix="backbone").init_weights(),
    "init_cfg of torch's layers": lambda p: mmengine.model.initialize(
        nn.Linear(1, 1), dict(type="Pretrained", checkpoint=str(p))
    ),
    "PretrainedInit": lambda p: mmengine.model.PretrainedInit(str(p))(nn.Linear(1, 1)),
    "CheckpointLoader": lambda p: CheckpointLoader.load_checkpoint(str(p)),
    "load_checkpoint": lambda p: mmengine_checkpoint.load_checkpoint(
        nn.Linear(1, 1), str(p)
    ),
    "hooks": lambda p: mmengine_checkpoint._load_checkpoint(str(p)),
    "prefix": lambda p: mmengine_checkpoint._load_checkpoint_with_prefix("a", str(p)),
    "load_from_local": lambda p: mmengine_checkpoint.load_from_local(str(p), "cpu"),
    "_safe_torch_load": lambda p: mmengine_checkpoint._safe_torch_load(str(p)),
    "mmengine.load": lambda p: mmengine.load(str(p), file_format="pkl"),
    "torch.load": lambda p: torch.load(p),
    "torch.load, unsafe": lambda p: torch.load(p, weights_only=False),
    "torch.hub": lambda p: torch.hub.load_state_dict_from_url(
        f"http://127.0.0.1:9/{p.name}", model_dir=str(p.parent)
    ),
    "numpy": lambda p: np.load(p)["a"],
    "raw network": load_network,
    "plain pickle": lambda p: read_plain_pickle(p.read_bytes(), p.name),
    "depth": lambda p: read_depth(p.rename(p.with_suffix(".npy")), 1.0),
}


def saved_by_torch(content: object, path: Path) -> None:
    torch.save({"state_dict": {}, "meta": content}, path)


def saved_by_torch_before(content: object, path: Path) -> None:
    torch.save({"state_dict": content}, path, _use_new_zipfile_serialization=False)


def pickled(content: object, path: Path) -> None:
    path.write_bytes(pickle.dumps(content, protocol=2))


def saved_by_numpy(content: object, path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, a=np.array([content], dtype=object))


KINDS = [saved_by_torch, saved_by_torch_before, pickled, saved_by_numpy]


@pytest.mark.parametrize("save", KINDS)
@pytest.mark.parametrize("door", DOORS)
def test_nothing_in_a_file_is_executed(door, save, tmp_path, marker):
    path = tmp_path / "evil.pth"
    save(CreatesFolder(marker), path)
    if (door, save) == ("plain pickle", saved_by_torch_before):
        # The first of the pickles in it is a number, and no more is read.
        DOORS[door](path)
    else:
        with pytest.raises(Exception):  # noqa: B017, PT011  each reader has its own
            DOORS[door](path)
    assert not marker.exists()


def test_the_payload_is_a_real_one(marker):
    pickle.loads(pickle.dumps(CreatesFolder(marker)))
    assert marker.exists()


YAML = [
    "a: !!python/object/apply:os.mkdir ['{}']",
    "a: !!python/object/new:os.mkdir ['{}']",
    "? !!python/object/apply:os.mkdir ['{}']\n: 1",
    "a: !!python/name:os.mkdir\nb: {{c: !!python/object/apply:os.mkdir ['{}']}}",
]


@pytest.mark.parametrize("text", YAML)
@pytest.mark.parametrize("suffix", [".yaml", ".yml"])
def test_yaml_runs_nothing(text, suffix, tmp_path, marker):
    path = tmp_path / f"config{suffix}"
    path.write_text(text.format(marker))
    base = tmp_path / "derived.py"
    base.write_text(f"_base_ = ['{path}']\n")
    for read in (
        load_config,
        lambda p: mmengine.load(str(p)),
        lambda p: Config.fromfile(str(p)),
        lambda p: Config.fromfile(str(base)),
        lambda p: load_config(base),
    ):
        with pytest.raises(ValueError, match=r"no Python file|more than plain values"):
            read(path)
        assert not marker.exists()


def test_plain_yaml_and_json_are_still_read(tmp_path):
    for name, text in (("a.yaml", "a: [1, x]"), ("a.json", '{"a": [1, "x"]}')):
        (tmp_path / name).write_text(text)
        assert mmengine.load(str(tmp_path / name)) == {"a": [1, "x"]}
    assert mmengine.load(io.StringIO("a: 1"), file_format="yml") == {"a": 1}


@pytest.mark.parametrize("name", ["config.yaml", "config.json", "config.txt", "config"])
def test_configs_are_python_files(name, tmp_path):
    (tmp_path / name).write_text("{}")
    with pytest.raises(ValueError, match="is no Python file; configs are Python code"):
        load_config(tmp_path / name)


def test_options_of_the_command_line_are_values(marker):
    parser = argparse.ArgumentParser()
    parser.add_argument("--cfg-options", nargs="+", action=DictAction)
    text = f"a=__import__('os').mkdir('{marker}')"
    parsed = parser.parse_args(["--cfg-options", text, f"b=[os.mkdir('{marker}'),1]"])
    assert isinstance(parsed.cfg_options["a"], str)
    assert not marker.exists()


ADDRESSES = [
    "http://example.org/a.pth",
    "https://download.pytorch.org/models/resnet18-f37072fd.pth",
    "torchvision://resnet18",
    "modelzoo://resnet18",
    "open-mmlab://resnet18_v1c",
    "openmmlab://resnet18_v1c",
    "mmcls://mobilenet_v2",
    "s3://bucket/a.pth",
    "petrel://bucket/a.pth",
    "pavi://a",
]
# Those that read an address, and not a stored file.
FETCHING = [name for name in DOORS if name in {
    "read_checkpoint", "init_from", "load_from and resume", "init_cfg",
    "init_cfg with a prefix", "init_cfg of torch's layers", "PretrainedInit",
    "CheckpointLoader", "load_checkpoint", "hooks", "prefix",
}]  # fmt: skip


@pytest.fixture
def asked(monkeypatch) -> list:
    """What is looked up or connected to."""
    found: list = []

    def refuse(*arguments, **_):
        found.append(arguments)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    return found


@pytest.mark.parametrize("door", FETCHING)
def test_no_address_is_fetched(door, asked):
    for address in ADDRESSES:
        with pytest.raises(ValueError, match="nothing is fetched unasked; download"):
            DOORS[door](address)
    assert asked == []


@pytest.mark.parametrize(
    "read",
    [
        lambda: mmengine.load("http://example.org/a.json"),
        lambda: mmengine_checkpoint.load_from_http("http://example.org/a.pth"),
        lambda: mmengine_checkpoint.load_from_torchvision("torchvision://resnet18"),
        lambda: mmengine.fileio.get("https://example.org/a.png"),
        lambda: mmengine.fileio.get_text("https://example.org/a.txt"),
    ],
)
def test_no_other_reader_fetches(read, asked):
    with pytest.raises(ValueError, match="nothing is fetched unasked"):
        read()
    assert asked == []


def test_init_cfg_takes_what_fits(tmp_path):
    source = BinaryResNet(depth=18, base_channels=8)
    torch.save(source.state_dict(), tmp_path / "a.pth")
    filled = encoder(tmp_path / "a.pth")
    filled.init_weights()
    for key, value in source.state_dict().items():
        assert torch.equal(value, filled.state_dict()[key])
    named = {f"backbone.{k}": v for k, v in source.state_dict().items()}
    torch.save({"state_dict": named}, tmp_path / "b.pth")
    filled = encoder(tmp_path / "b.pth", prefix="backbone.")
    filled.init_weights()
    assert torch.equal(filled.conv1.weight, source.conv1.weight)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"other": torch.ones(1)}, "none of its weights"),
        ({"conv1.weight": torch.ones(1)}, "'conv1.weight' in another shape"),
    ],
)
def test_init_cfg_refuses_what_mmengine_passes_over(state, said, tmp_path):
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=said):
        encoder(tmp_path / "a.pth").init_weights()
