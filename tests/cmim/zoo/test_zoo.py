"""The zoo's mechanism, with an untrained entry that exists in this test alone."""

from __future__ import annotations

import configparser
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from in_process import ROOT, run_in_process
from mmseg.registry import MODELS
from PIL import Image

from cmim.checkpoint import structure
from cmim.engine.config import load_config, task_model_config
from cmim.engine.record import network_of, write_json
from cmim.identity import identity_of
from cmim.zoo import entries as zoo
from cmim.zoo.entries import FILES, ZooError, entries, expand_name

CONFIG = "configs/rooms_seg_bireal.py"
TINY = {
    "model.model.backbone.base_channels": 8,
    "model.model.decode_head.in_channels": 64,
    "model.model.decode_head.channels": 8,
    "test_dataloader.dataset.pipeline.1.size": (48, 64),
}
OPTIONS = ["--cfg-options", *(f"{k}={v}".replace(" ", "") for k, v in TINY.items())]


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """An empty zoo."""
    place = tmp_path / "entries"
    place.mkdir()
    monkeypatch.setattr(zoo, "FOLDER", place)
    return place


@pytest.fixture
def run(tmp_path) -> Path:
    """What a training leaves behind, though nothing was trained."""
    config = load_config(CONFIG, TINY)
    torch.manual_seed(0)
    model = MODELS.build(task_model_config(config))
    saved = dict(
        state_dict=model.state_dict(),
        structure=structure(model),
        identity=identity_of(config),
    )
    torch.save(saved, tmp_path / "last.pth")
    network = network_of(task_model_config(config))
    record = dict(network=network, seed=3, steps=7, test=dict(mIoU=12.345, images=4))
    write_json(tmp_path / "metrics.json", record)
    return tmp_path


def add(run: Path, name: str = "tiny", figures: str = "mIoU", **changes: str):
    given = dict(record=str(run / "metrics.json"), about="Classes.") | changes
    named = [word for key, value in given.items() for word in (f"--{key}", value)]
    words = [CONFIG, run / "last.pth", name, "--figures", figures, *named, *OPTIONS]
    return run_in_process("add_to_zoo", *words)


@pytest.mark.full
def test_an_entry_is_made_listed_and_predicts_by_its_name(folder, run, tmp_path):
    pytest.importorskip("openvino")
    done = add(run)
    assert done.returncode == 0, done.stderr
    assert {p.name for p in (folder / "tiny").iterdir()} == {*FILES, "entry.json"}
    card = (folder / "tiny" / "card.md").read_text()
    assert "| mIoU | 12.345 |" in card
    assert "7 steps, seed 3" in card
    assert "over 4 test images" in card
    listed = run_in_process("zoo")
    assert listed.stdout.startswith("tiny: Classes. (")
    assert "mIoU 12.345" in listed.stdout

    pixels = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    by_name = run_in_process(
        "predict", "tiny", tmp_path / "photo.png", "--out", tmp_path / "a"
    )
    assert by_name.returncode == 0, by_name.stderr
    network = folder / "tiny" / "network.xml"
    by_files = run_in_process(
        *("predict", CONFIG, network, tmp_path / "photo.png"),
        *("--out", tmp_path / "b", *OPTIONS),
    )
    assert by_files.returncode == 0, by_files.stderr
    made = sorted((tmp_path / "a").iterdir())
    assert made
    for path in made:
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()

    weights = folder / "tiny" / "network.bin"
    damaged = bytearray(weights.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    weights.write_bytes(damaged)
    refused = run_in_process("predict", "tiny", tmp_path / "photo.png")
    assert refused.returncode
    assert "network.bin has another digest" in " ".join(refused.stderr.split())


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("tiny", dict(figures="depth/rmse"), "figures depth/rmse: the final test of"),
        ("Tiny", {}, "name 'Tiny': give small letters"),
        ("rooms_seg_bireal", {}, "name 'rooms_seg_bireal' is that of a config"),
    ],
)
def test_what_cannot_be_an_entry_is_refused(folder, run, name, changes, said):
    done = add(run, name, **changes)
    assert done.returncode
    assert said in " ".join(done.stderr.split())
    assert not list(folder.iterdir())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (dict(steps=0), "records no training with a final test"),
        (dict(test={}), "records no training with a final test"),
        (dict(network=dict(encoder="BinaryVGGSmall")), "encoder differ"),
        (dict(network={}), "it names none differ"),
    ],
)
def test_the_record_of_something_else_is_refused(folder, run, change, said):
    path = run / "metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    done = add(run)
    assert done.returncode
    assert said in " ".join(done.stderr.split())
    assert not list(folder.iterdir())


def test_a_taken_name_is_refused(folder, run):
    (folder / "tiny").mkdir()
    assert "name 'tiny' is taken" in " ".join(add(run).stderr.split())


def made_by_hand(folder: Path, **changes: object) -> Path:
    place = folder / "small"
    place.mkdir()
    for name in FILES:
        (place / name).write_text(name)
    digests = {name: zoo.sha256_of(place / name) for name in FILES}
    content = dict(
        about="A.", config="rooms_seg_bireal", overrides=["a.b=1", "c=(2,3)"],
        figures={}, files=digests,
    )  # fmt: skip
    (place / "entry.json").write_text(json.dumps({**content, **changes}))
    return place


def test_a_name_is_a_config_a_checkpoint_and_overrides(folder, tmp_path, monkeypatch):
    place = made_by_hand(folder)
    network = str(place / "network.xml")
    start = ["rooms_seg_bireal", network]
    assert expand_name(["small", "a.jpg"]) == [
        *start, "a.jpg", "--cfg-options", "a.b=1", "c=(2,3)"
    ]  # fmt: skip
    # What the line says itself is not said again.
    own = ["--cfg-options", "a.b=5", "data_root=x"]
    assert expand_name(["small", *own]) == [
        *start, *own, "--cfg-options", "c=(2,3)"
    ]  # fmt: skip
    assert expand_name(["other", "small"]) == ["other", "small"]
    assert expand_name([]) == []
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small").write_text("a file wins")
    assert expand_name(["small", "a.jpg"]) == ["small", "a.jpg"]


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_changed_or_is_gone_is_named(folder, name):
    path = made_by_hand(folder) / name
    path.write_text("other")
    with pytest.raises(ZooError, match=f"{name} has another digest"):
        expand_name(["small"])
    path.unlink()
    with pytest.raises(ZooError, match=f"lacks .*{name}: install the package again"):
        expand_name(["small"])


def test_an_entry_that_says_too_little_is_one_sentence(folder):
    made_by_hand(folder, files=None)
    with pytest.raises(ZooError, match="describes no network of the zoo"):
        entries()


def test_an_empty_zoo_says_so(folder):
    done = run_in_process("zoo")
    assert done.stdout == "no trained network lies in this version of the package\n"


def test_entries_travel_in_the_wheel(tmp_path):
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    pattern = settings["options.package_data"]["cmim.zoo"]
    place = made_by_hand(tmp_path)
    shutil.copytree(place, tmp_path / "entries" / "small")
    found = {path.name for path in tmp_path.glob(pattern)}
    assert found == {*FILES, "entry.json"}
    assert (ROOT / "cmim" / "zoo" / "entries").parent == Path(zoo.__file__).parent


def test_every_entry_that_ships_is_whole_and_was_trained():
    """Its figures are those of its record; the exported file loads with its config."""
    from cmim.engine.evaluate import load_task_model

    for entry in entries().values():
        entry.check()
        size = sum(file.stat().st_size for file in entry.folder.glob("network.*"))
        assert size <= zoo.MOST_BYTES
        record = json.loads((entry.folder / zoo.RECORD).read_text())
        assert record["steps"] > 0
        assert entry.figures
        for name, value in entry.figures.items():
            assert record["test"][name] == value
        pytest.importorskip("openvino")
        words = [word.partition("=")[::2] for word in entry.overrides]
        config = load_config(entry.config, dict(words))
        load_task_model(config, str(entry.network))
