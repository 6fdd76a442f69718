"""tools/analyze.py on tiny networks: with and without partner, a teacher, flips."""

from __future__ import annotations

import json
import shutil
import subprocess
from functools import partial
from pathlib import Path

import pytest
import torch
from in_process import run_in_process
from mmseg.registry import MODELS

from cmim.analysis.critic import critic_bound
from cmim.checkpoint import structure
from cmim.engine.config import ConfigError, load_config, task_model_config
from cmim.inspect.analysis_table import as_tables, one_sentences
from cmim.inspect.analyze import analyze, write_analysis
from cmim.inspect.compare_gradients import compare_gradients
from cmim.models import full_precision_twin

pytestmark = pytest.mark.full  # Whole runs of tools.

ROOT = Path(__file__).resolve().parents[2]
SEGMENTATION = "configs/rooms_seg_bireal.py"
TINY = {
    "model.model.backbone.base_channels": 8,
    "model.model.decode_head.in_channels": 64,
    "model.model.decode_head.channels": 8,
    "model.pixels": 4,
    "train_dataloader.batch_size": 2,
    "train_dataloader.dataset.pipeline.1.base_size": (48, 64),
    "train_dataloader.dataset.pipeline.1.crop_size": (32, 48),
    "val_dataloader.dataset.pipeline.1.size": (48, 64),
    "test_dataloader.dataset.pipeline.1.size": (48, 64),
    "test_dataloader.batch_size": 4,
    "train_cfg.max_iters": 8,
    "default_hooks.checkpoint.interval": 4,
}


def config_of(rooms: Path, path: str = SEGMENTATION, **more):
    options = {**TINY, "data_root": str(rooms), **more}
    return load_config(ROOT / path, options)


def save(model: dict, path: Path, seed: int = 0) -> str:
    torch.manual_seed(seed)
    built = MODELS.build(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    state = dict(state_dict=built.state_dict(), structure=structure(built))
    torch.save(state, path)
    return str(path)


def run(tool: str, *words: str, rooms: Path) -> subprocess.CompletedProcess[str]:
    options = [f"{name}={value}".replace(" ", "") for name, value in TINY.items()]
    given = ["--cfg-options", f"data_root={rooms}", *options]
    return run_in_process(tool, *words, *given)


@pytest.fixture(scope="module", autouse=True)
def short_fits():
    """Critics of ten steps: nothing here asks how good they are (test_critic.py)."""
    with pytest.MonkeyPatch.context() as patch:
        short = partial(critic_bound, steps=10)
        patch.setattr("cmim.analysis.layer_report.critic_bound", short)
        yield


@pytest.fixture(scope="module")
def trained(rooms, tmp_path_factory) -> Path:
    """Eight steps with partner 'latent', flips recorded every three."""
    folder = tmp_path_factory.mktemp("runs") / "latent"
    words = ("--work-dir", str(folder), "--no-test", "--record-flips", "3")
    done = run("train", SEGMENTATION, *words, rooms=rooms)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def others(rooms, tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("others")
    task = task_model_config(config_of(rooms))
    return {
        "none": save(task, folder / "none" / "last.pth", seed=1),
        "teacher": save(full_precision_twin(task), folder / "fp" / "last.pth", seed=2),
    }


@pytest.fixture(scope="module")
def written(rooms, trained, others, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("out")
    done = run(
        *("analyze", SEGMENTATION, str(trained / "last.pth"), others["none"]),
        *("--teacher", others["teacher"], "--out", str(folder), "--no-tsne"),
        *("--gradients", "2", "--json", str(folder / "copy.json"), "--images", "5"),
        rooms=rooms,
    )
    assert done.returncode == 0, done.stderr
    (folder / "stdout.txt").write_text(done.stdout)
    return folder


def test_flips_were_recorded(trained):
    flips = json.loads((trained / "flips.json").read_text())
    assert [(r["since"], r["step"]) for r in flips["records"]] == [(0, 3), (3, 6)]
    assert len(flips["layers"]) == 16
    assert "backbone.layer1.0.conv1" in flips["layers"]
    for record in flips["records"]:
        assert all(0 <= share <= 1 for share in record["flips"])
    assert any(flips["records"][1]["flips"])


@pytest.mark.full
def test_a_resumed_run_has_the_same_flips(rooms, trained, tmp_path):
    """From the checkpoint of step 4, between two records."""
    shutil.copy(trained / "previous.pth", tmp_path / "last.pth")
    words = ("--work-dir", str(tmp_path), "--no-test", "--record-flips", "3")
    done = run("train", SEGMENTATION, *words, "--resume", rooms=rooms)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "flips.json").read_text() == (trained / "flips.json").read_text()


def test_the_tool_writes_all_it_names(written):
    shown = (written / "stdout.txt").read_text()
    for name in ("analysis.json", "layers.png", "flips.png"):
        assert (written / name).is_file()
        assert str(written / name) in shown
    assert not (written / "tsne.png").exists()
    assert (written / "copy.json").read_text() == (
        written / "analysis.json"
    ).read_text()
    report = json.loads((written / "analysis.json").read_text())
    assert as_tables(report) in shown
    assert one_sentences(report) in shown
    assert "entropy, bit/channel" in shown
    assert "estimates of MI of own latent and twin's feature" in shown
    assert all(f"{name}, bit" in shown for name in ("KSG", "mixed", "LNC"))
    assert "layer4.1.binarize2" in shown


def test_the_report_is_complete(written, trained, rooms):
    report = json.loads((written / "analysis.json").read_text())
    assert list(report["checkpoints"]) == ["latent", "none"]
    assert report["images"] == 5
    assert report["labels_are"] == "classes"
    assert len(report["layers"]) == 16
    for run in report["checkpoints"].values():
        assert list(run["layers"]) == report["layers"]
        for layer in run["layers"].values():
            assert 0 <= layer["entropy"] <= 1
            assert 0 <= layer["bound_twin"] <= layer["ceiling"]
            assert 0 <= layer["bound_latent"] <= layer["ceiling"]
            ksg_bits, mixed_bits = (
                layer[f"latent_twin_{name}"] for name in ("ksg", "mixed")
            )
            assert ksg_bits == pytest.approx(mixed_bits, abs=0.05)
            assert layer["latent_twin_lnc"] is not None
        values = [layer["entropy"] for layer in run["layers"].values()]
        assert run["mean"]["entropy"] == pytest.approx(sum(values) / 16, abs=1e-4)
    latent, none = report["checkpoints"].values()
    assert latent["flips"] == json.loads((trained / "flips.json").read_text())
    assert "flips" not in none
    assert "no losses" in none["gradients"]["skipped"]
    assert latent["gradients"]["partner"] == "latent"
    assert latent["gradients"]["loss"] == "info_nce"
    gradients = latent["gradients"]["stages"]
    assert {"encoder", "conv1", "layer1", "layer4"} <= set(gradients)
    for values in gradients.values():
        assert -1 <= values["cosine"] <= 1
        assert -1 <= values["task_cosine"] <= 1
        assert values["ratio"] > 0


def test_gradients_of_another_partner_are_found(rooms, others, trained, tmp_path):
    """The config says 'latent'; the checkpoint has the projections of 'teacher'."""
    given = {"model.partner": "teacher", "model.teacher": others["teacher"]}
    path = save(config_of(rooms, **given).model, tmp_path / "last.pth")
    own = config_of(rooms)
    found = compare_gradients(own, path, others["teacher"], 1, "teacher")
    assert found["partner"] == "teacher"
    assert found["stages"]["encoder"]["task_cosine"] is None
    assert "skipped" in compare_gradients(own, path, None, 1, "no twin")
    none = config_of(rooms, **{"model.partner": "none"})
    latent = str(trained / "last.pth")
    assert compare_gradients(none, latent, None, 1, "latent")["partner"] == "latent"


def test_codes_are_those_of_the_network(rooms, others):
    """Entropy of the report against one computed from the binarizer's output."""
    from cmim.contrast import ActivationTaps
    from cmim.engine.evaluate import load_task_model
    from cmim.inspect.read_activations import HeldOut

    config, name = config_of(rooms), "backbone.layer2.0.binarize2"
    report, _ = analyze(config, {"none": others["none"]}, images=4, points=False)
    model, highs = load_task_model(config, others["none"]), []
    for _, batch in HeldOut(config, 4).batches("again"):
        with ActivationTaps(model, [name]).recording() as seen, torch.no_grad():
            model.extract_feat(model.data_preprocessor(batch)["inputs"])
        highs.append((seen[name].binary > 0).double())
    p = torch.cat(highs).mean((0, 2, 3)).clamp(1e-300, 1 - 1e-16)
    entropy = -(p * p.log2() + (1 - p) * (1 - p).log2()).mean().item()
    measured = report["checkpoints"]["none"]["layers"][name]["entropy"]
    assert measured == pytest.approx(entropy, abs=1e-4)


@pytest.mark.full
def test_same_call_same_report_whatever_the_batches(rooms, others):
    found = []
    for size in (1, 4, 4):
        config = config_of(rooms, **{"test_dataloader.batch_size": size})
        report, _ = analyze(config, {"none": others["none"]}, images=4, points=False)
        found.append(report)
    assert found[1] == found[2]
    codes = [r["checkpoints"]["none"]["mean"]["entropy"] for r in found]
    assert codes[0] == pytest.approx(codes[1], abs=1e-3)


def test_a_layout_is_drawn(rooms, others, tmp_path, monkeypatch):
    def place(features: torch.Tensor, seed: int) -> torch.Tensor:
        assert features.shape[1] == 64
        return features[:, :2]

    monkeypatch.setattr("cmim.inspect.analyze.tsne", place)
    report, layouts = analyze(config_of(rooms), {"none": others["none"]}, images=4)
    files = write_analysis(tmp_path, report, layouts)
    assert [f.name for f in files] == ["analysis.json", "layers.png", "tsne.png"]
    labels = layouts["none"]["labels"]
    assert len(labels) == len(layouts["none"]["points"])
    assert labels.unique().numel() > 1
    assert labels.max() < 40


@pytest.mark.full
def test_depth(rooms, tmp_path, monkeypatch):
    monkeypatch.setattr("cmim.inspect.analyze.tsne", lambda x, seed: x[:, :2])
    config = config_of(rooms, "configs/rooms_depth_bireal.py")
    path = save(config.model, tmp_path / "run" / "last.pth")
    report, layouts = analyze(config, {"run": path}, images=5)
    assert report["labels_are"] == "depth in metres"
    assert report["checkpoints"]["run"]["mean"]["label_codes"] is not None
    assert layouts["run"]["labels"].min() > 0.3
    assert (tmp_path / "out" / "tsne.png") in write_analysis(
        tmp_path / "out", report, layouts
    )


@pytest.mark.full
def test_classification(pictures, tmp_path, monkeypatch):
    monkeypatch.setattr("cmim.inspect.analyze.tsne", lambda x, seed: x[:, :2])
    config = load_config(
        ROOT / "configs/cifar10_resnet20_bireal.py",
        {
            "data_root": str(pictures),
            "model.model.backbone.base_channels": 8,
            "model.model.head.in_channels": 32,
            "model.model.backbone.method": "dorefa",
        },
    )
    path = save(config.model, tmp_path / "run" / "last.pth")
    report, layouts = analyze(config, {"run": path})
    assert report["images"] == 20
    # One point an image, coloured by its class.
    assert layouts["run"]["labels"].tolist() == [i // 2 for i in range(20)]


def test_what_cannot_be_measured_is_said(rooms, others, tmp_path):
    with pytest.raises(ValueError, match="--images 4 or more"):
        analyze(config_of(rooms), {"none": others["none"]}, images=3)
    plain = config_of(rooms, **{"model.model.backbone.method": "fp"})
    plain.model.partner = "none"
    path = save(plain.model, tmp_path / "last.pth")
    with pytest.raises(ConfigError, match="binarizes no activations"):
        analyze(plain, {"fp": path}, images=4)
