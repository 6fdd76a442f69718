"""Every config parses, dumps, reloads, builds and trains one step."""

import math
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmseg.registry import MODELS

from cmim.engine.bench_step import synthetic_batch
from cmim.engine.config import load_config, task_model_config
from cmim.models import full_precision_twin

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.py"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_config_dumps_reloads_and_trains_one_step(path, tmp_path):
    config = load_config(path)
    config.dump(str(tmp_path / path.name))
    reloaded = Config.fromfile(str(tmp_path / path.name))
    assert reloaded.pretty_text == config.pretty_text

    # The real config, at a size that takes no time.
    loader = reloaded.train_dataloader
    loader.batch_size = 2
    pools = task_model_config(reloaded).get("head", {}).get("pool", True)
    for transform in loader.dataset.pipeline:
        # A head that flattens fits its own resolution only.
        if "crop_size" in transform and pools:
            transform.crop_size = (64, 96)
    torch.manual_seed(0)
    model = MODELS.build(reloaded.model)
    model.init_weights()
    model.train()
    before = {k: v.clone() for k, v in model.named_parameters()}
    wrapper = build_optim_wrapper(model, reloaded.optim_wrapper)
    losses = model.train_step(synthetic_batch(reloaded), wrapper)
    assert math.isfinite(losses["loss"].item())
    moved = [k for k, v in model.named_parameters() if not torch.equal(v, before[k])]
    # Only what the gradient cannot reach may stand still.
    assert len(moved) == len(before)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_config_says_what_it_is(path):
    text = path.read_text()
    assert text.startswith('"""')
    docstring = text.split('"""')[1]
    assert "Data:" in docstring
    assert "Hardware:" in docstring
    # One level of inheritance, explicit names.
    assert "import *" not in text
    assert "_delete_" not in text


def test_bases_inherit_nothing():
    bases = CONFIGS[0].parent.glob("_base_/*.py")
    assert all("read_base" not in base.read_text() for base in bases)


@pytest.mark.parametrize("task", ["seg", "depth"])
@pytest.mark.parametrize("size", ["", "_small"])
def test_twin_is_the_config_with_fp_in_its_name(task, size):
    folder = CONFIGS[0].parent
    binary = load_config(folder / f"nyud_{task}_bireal{size}.py")
    twin = load_config(folder / f"nyud_{task}_fp{size}.py")
    expected = binary.model.model.to_dict()
    expected["backbone"]["method"] = "fp"
    assert twin.model.to_dict() == expected
    assert binary.model.teacher == f"work_dirs/nyud_{task}_fp{size}/last.pth"
    assert twin.optim_wrapper.to_dict() == binary.optim_wrapper.to_dict()
    assert twin.train_dataloader.to_dict() == binary.train_dataloader.to_dict()


@pytest.mark.parametrize("task", ["joint", "normals"])
def test_twin_of_several_heads_is_the_config_with_fp_in_its_name(task):
    folder = CONFIGS[0].parent
    binary = load_config(folder / f"nyud_{task}_bireal_small.py")
    twin = load_config(folder / f"nyud_{task}_fp_small.py")
    assert twin.model.to_dict() == full_precision_twin(binary.model.model.to_dict())
    assert binary.model.teacher == f"work_dirs/nyud_{task}_fp_small/last.pth"
    for part in ("optim_wrapper", "train_dataloader", "test_dataloader"):
        assert twin.to_dict()[part] == binary.to_dict()[part]


@pytest.mark.parametrize("task", ["normals", "edges", "scene", "joint"])
def test_every_task_of_nyud_has_the_budget_of_segmentation(task):
    folder = CONFIGS[0].parent
    reference = load_config(folder / "nyud_seg_bireal_small.py").to_dict()
    config = load_config(folder / f"nyud_{task}_bireal_small.py").to_dict()
    for part in ("optim_wrapper", "param_scheduler", "train_cfg"):
        assert config[part] == reference[part]
    for loader in ("train_dataloader", "test_dataloader"):
        assert config[loader]["batch_size"] == reference[loader]["batch_size"]


def test_classification_twin_is_the_config_with_fp_in_its_name():
    folder = CONFIGS[0].parent
    binary = load_config(folder / "cifar10_resnet20_bireal.py")
    twin = load_config(folder / "cifar10_resnet20_fp.py")
    expected = binary.model.model.to_dict()
    expected["backbone"]["method"] = "fp"
    assert twin.model.to_dict() == expected
    assert binary.model.teacher == "work_dirs/cifar10_resnet20_fp/last.pth"
    for part in ("optim_wrapper", "param_scheduler", "train_dataloader"):
        assert twin.to_dict()[part] == binary.to_dict()[part]
