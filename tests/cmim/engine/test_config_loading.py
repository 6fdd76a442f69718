"""Overrides and misspellings."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cmim.engine.config import ConfigError, load_config, task_model_config

ROOT = Path(__file__).parents[3]
CONFIGS = ROOT / "configs"
BINARY = CONFIGS / "nyud_seg_bireal_small.py"


def test_data_root_moves_every_loader():
    config = load_config(CONFIGS / "rooms_seg_bireal.py", {"data_root": "elsewhere"})
    for loader in ("train_dataloader", "val_dataloader", "test_dataloader"):
        assert config[loader].dataset.data_root == "elsewhere"


def test_the_folder_of_one_data_set_outlives_that_of_all():
    # Tested on the training folder before, without a word.
    own = {"data_root": "a", "test_dataloader.dataset.data_root": "b"}
    config = load_config(CONFIGS / "rooms_seg_bireal.py", own)
    assert config.train_dataloader.dataset.data_root == "a"
    assert config.test_dataloader.dataset.data_root == "b"


def test_override_may_add_an_option_to_a_component_and_reach_into_lists():
    config = load_config(
        BINARY,
        {"model.queue": 64, "train_dataloader.dataset.pipeline.1.flip": 0.0},
    )
    assert config.model.queue == 64
    assert config.train_dataloader.dataset.pipeline[1].flip == 0.0


@pytest.mark.parametrize("order", [1, -1])
def test_a_methods_options_and_its_name_in_any_order(order):
    at = "model.model.backbone.method"
    options = {f"{at}.t_min": 0.01, at: "irnet", f"{at}.additions": ["unbalanced"]}
    config = load_config(BINARY, dict(list(options.items())[::order]))
    expected = dict(name="irnet", t_min=0.01, additions=["unbalanced"])
    assert config.model.model.backbone.method == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"": "npid", ".rows": 795}, dict(name="npid", rows=795)),
        (
            {".name": "interpolated", ".alpha": 0.1},
            dict(name="interpolated", alpha=0.1),
        ),
        ({".foo": 1}, dict(name="info_nce", foo=1)),
    ],
)
def test_a_losss_options_where_the_config_names_none(options, expected):
    config = load_config(BINARY, {f"model.loss{k}": v for k, v in options.items()})
    assert config.model.loss == expected
    preset = {"model.preset": "cmim", "model.loss.normalise": False}
    loss = load_config(BINARY, preset).model.loss
    assert loss == dict(name="nce", normalise=False)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"modell.partner": "latent"}, "has no 'modell'"),
        ({"model.modle.backbone.depth": 34}, "has no 'model.modle'"),
        ({"max_iters": 5}, "unknown key"),
        ({"train_dataloader.dataset.pipeline.9.flip": 0}, "pipeline.9"),
    ],
)
def test_override_of_nothing_is_refused(options, said):
    with pytest.raises(ConfigError, match=said):
        load_config(BINARY, options)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("teacher", r"override model\.teacher instead"),
        ("teacher_model.backbone.depth", r"'teacher_model' is in the model already"),
        ("task_model.head.num_classes", r"override model\.model \(model where"),
    ],
)
def test_overrides_of_parts_that_are_in_the_model_already_are_refused(option, said):
    with pytest.raises(ConfigError, match=said):
        load_config(CONFIGS / "imagenet_resnet18_reactnet.py", {option: 5})


def test_unknown_top_level_key_is_named(tmp_path):
    path = tmp_path / "typo.py"
    path.write_text("model = dict()\noptim_wraper = dict()\n_helper = 1\n")
    with pytest.raises(ConfigError, match="unknown key 'optim_wraper'"):
        load_config(path)


def test_missing_config_lists_its_neighbours():
    with pytest.raises(ConfigError, match=r"nyud_seg_bireal_small\.py"):
        load_config(CONFIGS / "nyud_seg_bireal_smal.py")


def test_task_model_is_the_config_without_the_wrapper():
    wrapped = load_config(BINARY)
    assert task_model_config(wrapped) == wrapped.model.model
    plain = load_config(CONFIGS / "nyud_seg_fp_small.py")
    assert task_model_config(plain) == plain.model


@pytest.mark.slow
def test_an_override_may_name_an_encoder_that_the_config_does_not_import():
    command = (
        "from cmim.engine.config import load_config, task_model_config;"
        "from mmseg.registry import MODELS;"
        "config = load_config('configs/cifar10_resnet20_bireal.py',"
        "{'model.model.backbone': dict(_delete_=True, type='BinaryVGGSmall')});"
        "print(type(MODELS.build(config.model.model.backbone)).__name__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", command], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout.split()[-1:] == ["BinaryVGGSmall"], done.stderr


@pytest.mark.parametrize("loader", ["train_dataloader", "test_dataloader"])
def test_a_head_has_as_many_classes_as_the_data(loader):
    names = {f"{loader}.dataset.metainfo": dict(classes=["wall", "floor"])}
    with pytest.raises(ConfigError, match=rf"{loader} names 2 .* num_classes 40"):
        load_config(BINARY, names)
    heads = {"model.model.decode_head.num_classes": 2}
    # The classes that come with the kind of data set count, too.
    other = {"train_dataloader": "test", "test_dataloader": "train"}[loader]
    with pytest.raises(ConfigError, match=rf"{other}_dataloader names 40 .* 2; both"):
        load_config(BINARY, {**names, **heads})
    names = named(["wall", "floor"], ["wall", "floor"])
    assert load_config(BINARY, {**names, **heads})
    joint = "configs/nyud_joint_bireal_small.py"
    with pytest.raises(ConfigError, match=r"heads\.seg has num_classes 40"):
        load_config(joint, names)
    assert load_config(joint, {**names, "model.model.heads.seg.num_classes": 2})


def named(train: list[str], test: list[str]) -> dict:
    """Overrides: class names of the loaders."""
    return {
        f"{loader}_dataloader.dataset.metainfo": dict(classes=names)
        for loader, names in (("train", train), ("test", test))
    }


def test_loaders_name_the_same_classes_in_the_same_order():
    """Numbers would mean other classes in testing than in training."""
    names = [f"class {k}" for k in range(40)]
    assert load_config(BINARY, named(names, names))
    with pytest.raises(ConfigError, match=r"test_dataloader names .* train_"):
        load_config(BINARY, named(names, names[::-1]))


def test_one_class_is_refused_with_the_line_to_write():
    one = {"model.model.decode_head.num_classes": 1, **named(["fg"], ["fg"])}
    with pytest.raises(ConfigError, match=r"one class, .*classes=\['background', 'fg'"):
        load_config(BINARY, one)


@pytest.mark.parametrize(
    "change",
    [
        "task_model.backbone.update(base_channels=16)",
        "task_model.backbone = dict(type='BinaryVGGSmall')",
        "task_model.decode_head['channels'] = 16",
    ],
)
def test_a_change_of_what_model_was_made_of_is_refused(tmp_path, change):
    """It was read by nothing: the base's network was trained, without a word."""
    shutil.copytree(CONFIGS / "_base_", tmp_path / "_base_")
    shutil.copy(CONFIGS / "rooms_seg_bireal.py", tmp_path)
    head = "from mmengine.config import read_base\n\nwith read_base():\n"
    head += "    from .rooms_seg_bireal import *\n"
    mine = tmp_path / "mine.py"
    mine.write_text(f"{head}{change}\n")
    said = "line 5: task_model is changed, and nothing reads it .*change model.model"
    with pytest.raises(ConfigError, match=said):
        load_config(mine)
    mine.write_text(f"{head}{change}\nmodel.update(model=task_model)\n")
    assert load_config(mine)
    mine.write_text(f"{head}model.model.{change.removeprefix('task_model.')}\n")
    assert load_config(mine)
