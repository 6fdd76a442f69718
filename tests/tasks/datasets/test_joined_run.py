"""A joint model of two data sets with other ground truth, from training to pictures."""

import copy

import pytest
import torch
from joined_cases import CLASSES, write_config, write_parts
from mmengine.config import Config
from mmengine.runner import Runner
from mmseg.registry import MODELS

from cmim.engine.config import load_config
from cmim.engine.config_error import ConfigError
from cmim.engine.evaluate import evaluate, load_task_model
from cmim.engine.train import prepare_training, train
from cmim.export.images import calibration_images
from cmim.hooks import SaveCheckpoint
from cmim.identity import identity_of
from cmim.inspect.summary import summarize
from tasks.datasets.survey import as_text, survey_config
from tasks.predict import class_names, network_size, picture_kind, predict_image
from tasks.prediction_writer import PredictionWriter

pytestmark = pytest.mark.full  # Whole runs of tools.


@pytest.fixture(scope="module", autouse=True)
def plain_dumps():
    """Configs are written as they are: their layout takes half of a run's seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "yapf.yapflib.yapf_api.FormatCode", lambda text, **_: (text, True)
        )
        yield


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("joined")
    write_parts(folder)
    return folder


@pytest.fixture(scope="module")
def path(home):
    return write_config(home)


def run(path, folder, **options):
    config = load_config(path, {"default_hooks.checkpoint.interval": 2})
    return train(prepare_training(config, work_dir=str(folder), **options))


@pytest.fixture(scope="module")
def whole(home, path):
    return home / "whole", run(path, home / "whole")


def test_both_tasks_are_measured(whole, path):
    folder, figures = whole
    found = figures["test"]
    assert found["images"] == 6
    assert 0 <= found["seg/mIoU"] <= 100
    assert found["depth/rmse"] > 0
    # Pictures without the ground truth of a task are not among what it measured.
    assert found["seg/measured_share"] == found["depth/measured_share"] == 1
    config = load_config(path)
    model = load_task_model(config, str(folder / "last.pth"))
    again = evaluate(model, config)
    for name in ("seg/mIoU", "depth/rmse"):
        assert again[name] == found[name]


def test_a_killed_run_ends_in_the_same_weights(whole, path, home, monkeypatch):
    save = SaveCheckpoint.save

    def killed(self, runner, step):
        save(self, runner, step)
        raise KeyboardInterrupt

    monkeypatch.setattr(SaveCheckpoint, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        run(path, home / "killed")
    monkeypatch.undo()
    run(path, home / "killed", resume=True)
    states = [
        torch.load(folder / "last.pth", weights_only=True)
        for folder in (whole[0], home / "killed")
    ]
    assert [state["meta"]["iter"] for state in states] == [4, 4]
    first, second = (state["state_dict"] for state in states)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_both_heads_get_gradients(path):
    config = load_config(path)
    model = MODELS.build(config.model)
    loader = Runner.build_dataloader(copy.deepcopy(config.train_dataloader), seed=0)
    batches = iter(loader)
    for data in (next(batches), next(batches)):
        losses = model(**model.data_preprocessor(data, True), mode="loss")
        sum(value for name, value in losses.items() if "loss" in name).backward()
    for task in ("seg", "depth"):
        head = model.model.heads[task]
        assert all(p.grad is not None for p in head.parameters() if p.requires_grad)
        assert sum(float(p.grad.abs().sum()) for p in head.parameters()) > 0


def test_predictions_have_the_classes_of_the_labelled_part(whole, path, home):
    config = load_config(path)
    assert class_names(config) == CLASSES
    assert identity_of(config)["classes"] == CLASSES
    assert network_size(config) == 48
    model = load_task_model(config, str(whole[0] / "last.pth"))
    picture = home / "roads/images/val/roads0.png"
    sample = predict_image(model, picture, network_size(config), **picture_kind(config))
    writer = PredictionWriter(home / "out", class_names(config))
    assert [p.name for p in writer(sample)] == [
        "roads0_overlay.png",
        "roads0_depth_colour.png",
    ]


def test_every_part_is_checked(path):
    found = survey_config(load_config(path))
    assert list(found) == [f"{s} part {k}" for s in ("train", "test") for k in (0, 1)]
    assert "road 34.4 %" in as_text("train", found["train part 0"])
    assert found["train part 1"]["depth"] == pytest.approx([1.5, 3.5])
    assert not any(figures["problems"] for figures in found.values())


def test_other_readers_of_configs_see_the_parts(path):
    config = load_config(path)
    assert summarize(config)["image"] == [32, 48]
    model = MODELS.build(config.model.model)
    images = calibration_images(config, model, (32, 48), 1, 5)
    assert [tuple(image.shape) for image in images] == [(1, 3, 32, 48)] * 5


def test_conflicts_are_refused(home, path):
    part = "train_dataloader.dataset.datasets.1"
    other = {f"{part}.metainfo": dict(classes=CLASSES[::-1])}
    with pytest.raises(ConfigError, match=r"datasets\.1 names the classes tree, car"):
        load_config(path, other)
    with pytest.raises(ConfigError, match=r"datasets\.0 names 3 classes.*classes 5"):
        load_config(path, {"model.model.heads.seg.num_classes": 5})
    with pytest.raises(ConfigError, match=r"into one folder; move each part: train_"):
        load_config(path, {"data_root": str(home)})
    sizes = {"test_dataloader.dataset.datasets.1.pipeline.1.shorter": 60}
    with pytest.raises(ConfigError, match=r"differ in the input size \(48 and 60\)"):
        network_size(load_config(path, sizes))


def test_classes_without_names_are_numbers():
    """And not the 40 of NYUv2."""
    model = dict(backbone={}, decode_head=dict(num_classes=2))
    depth = dict(datasets=[dict(depth="{name}.png", pipeline=[])])
    config = Config(dict(model=model, test_dataloader=dict(dataset=depth)))
    assert class_names(config) == ["class 0", "class 1"]
    labelled = dict(dataset=dict(dataset=dict(metainfo=dict(classes=["a", "b"]))))
    config.train_dataloader = labelled
    assert class_names(config) == ["a", "b"]
