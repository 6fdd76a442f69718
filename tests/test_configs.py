"""Every config parses, dumps, reloads, builds and trains one step."""

import ast
import copy
import functools
import math
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmseg.registry import MODELS

from cmim.bench.step import synthetic_batch
from cmim.engine.config import load_config, task_model_config
from cmim.models import full_precision_twin

FOLDER = Path(__file__).parents[1] / "configs"
CONFIGS = sorted(FOLDER.glob("*.py"))
BASES = sorted(FOLDER.glob("_base_/*.py"))
every_config = pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
# One config of each data set and task (or encoder) stands for the others.
USUAL = {p.stem.split("_", 2)[1] + p.stem.split("_")[0]: p for p in CONFIGS[::-1]}
usual_configs = pytest.mark.parametrize(
    "path",
    [
        pytest.param(
            p, marks=() if p in USUAL.values() else pytest.mark.full, id=p.stem
        )
        for p in CONFIGS
    ],
)


@functools.cache
def read_once(name: str) -> Config:
    return load_config(FOLDER / f"{name}.py")


def config_of(name: str) -> Config:
    """A config of its own for each caller, read once."""
    return copy.deepcopy(read_once(name))


def save_teacher(config: Config, folder: Path) -> None:
    """An untrained teacher, where the config needs one."""
    named = config.model.get("preset") or config.model.get("partner") == "teacher"
    if not (config.model.get("added_losses") or named):
        return
    network = config.model.get("teacher_model")
    network = MODELS.build(network or full_precision_twin(config.model.model))
    torch.save({"state_dict": network.state_dict()}, folder / "teacher.pth")
    config.model.teacher = str(folder / "teacher.pth")


@usual_configs
def test_config_dumps_reloads_and_trains_one_step(path, tmp_path):
    config_of(path.stem).dump(str(tmp_path / path.name))
    text = (tmp_path / path.name).read_text()
    # Formatting is most of what a dump costs: the second one goes without.
    reloaded = Config.fromfile(tmp_path / path.name, format_python_code=False)
    assert ast.dump(ast.parse(reloaded.pretty_text)) == ast.dump(ast.parse(text))

    model, losses, before = first_step(reloaded, tmp_path)
    assert math.isfinite(losses["loss"].item())
    moved = [k for k, v in model.named_parameters() if not torch.equal(v, before[k])]
    # Only what the gradient cannot reach may stand still.
    assert len(moved) == len(before), sorted(set(before) - set(moved))


def first_step(reloaded: Config, folder: Path) -> tuple:
    """Model, losses and earlier parameters of a step at a size that takes no time."""
    loader = reloaded.train_dataloader
    loader.batch_size = 2
    for transform in loader.dataset.pipeline:
        # CIFAR's pictures are small already.
        if transform.get("crop_size", (0, 0))[0] > 64:
            transform.crop_size = (64, 96)
    save_teacher(reloaded, folder)
    for name in ("pretrained", "init_from"):
        # Files of weights that users have.
        task_model_config(reloaded).backbone.pop(name, None)
    torch.manual_seed(0)
    model = MODELS.build(reloaded.model)
    model.init_weights()
    model.train()
    before = {k: v.clone() for k, v in model.named_parameters()}
    wrapper = build_optim_wrapper(model, reloaded.optim_wrapper)
    losses = model.train_step(synthetic_batch(reloaded), wrapper)
    return model, losses, before


@every_config
def test_config_says_what_it_is(path):
    text = path.read_text()
    assert text.startswith('"""')
    docstring = text.split('"""')[1]
    assert "Data:" in docstring
    assert "Hardware:" in docstring
    assert "_delete_" not in text


@functools.cache
def names_of(base: Path) -> frozenset[str]:
    """What a base defines, without what it imports to name types."""
    config = Config.fromfile(base)
    return frozenset(config.keys()) - config._imported_names


def bases_read(path: Path) -> list[Path]:
    """The bases that a config takes whole."""
    return [
        FOLDER / "_base_" / f"{node.module.split('.')[-1]}.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.names[0].name == "*"
    ]


@pytest.mark.parametrize("path", [*CONFIGS, *BASES], ids=lambda p: p.stem)
def test_the_order_in_which_a_file_reads_its_bases_does_not_matter(path):
    """ruff sorts them: no two may define the same name."""
    names = [name for base in bases_read(path) for name in names_of(base)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("base", BASES, ids=lambda p: p.stem)
def test_a_base_leaves_no_helpers_behind(base):
    assert not [name for name in names_of(base) if name.startswith("_")]


def test_configs_read_in_one_process_share_nothing():
    first = config_of("nyud_depth_bireal_small").pretty_text
    config = load_config(FOLDER / "nyud_depth_bireal_small.py")
    config.train_dataloader.dataset.pipeline.clear()
    config.model.model.backbone.clear()
    config.default_hooks.clear()
    assert load_config(FOLDER / "nyud_depth_bireal_small.py").pretty_text == first


@pytest.mark.parametrize("task", ["seg", "depth"])
@pytest.mark.parametrize("size", ["", "_small"])
def test_twin_is_the_config_with_fp_in_its_name(task, size):
    binary = config_of(f"nyud_{task}_bireal{size}")
    twin = config_of(f"nyud_{task}_fp{size}")
    expected = binary.model.model.to_dict()
    expected["backbone"]["method"] = "fp"
    assert twin.model.to_dict() == expected
    assert binary.model.teacher == f"work_dirs/nyud_{task}_fp{size}/last.pth"
    assert twin.optim_wrapper.to_dict() == binary.optim_wrapper.to_dict()
    assert twin.train_dataloader.to_dict() == binary.train_dataloader.to_dict()


@pytest.mark.parametrize("task", ["joint", "normals"])
def test_twin_of_several_heads_is_the_config_with_fp_in_its_name(task):
    binary = config_of(f"nyud_{task}_bireal_small")
    twin = config_of(f"nyud_{task}_fp_small")
    assert twin.model.to_dict() == full_precision_twin(binary.model.model.to_dict())
    assert binary.model.teacher == f"work_dirs/nyud_{task}_fp_small/last.pth"
    for part in ("optim_wrapper", "train_dataloader", "test_dataloader"):
        assert twin.to_dict()[part] == binary.to_dict()[part]


@pytest.mark.parametrize("task", ["normals", "edges", "scene", "joint"])
def test_every_task_of_nyud_has_the_budget_of_segmentation(task):
    reference = config_of("nyud_seg_bireal_small").to_dict()
    config = config_of(f"nyud_{task}_bireal_small").to_dict()
    for part in ("optim_wrapper", "param_scheduler", "train_cfg"):
        assert config[part] == reference[part]
    for loader in ("train_dataloader", "test_dataloader"):
        assert config[loader]["batch_size"] == reference[loader]["batch_size"]


# Recipes whose published network has one shortcut a block; its twin has too.
PER_BLOCK = (
    "cifar10_resnet18_irnet",
    "cifar10_resnet18_rbnn",
    "cifar100_resnet18_rbnn",
)
# Small ones, which CMIM with a teacher was not tried on.
WITHOUT_TEACHER = {"cifar10_resnet18_small_bireal", "cifar10_vgg_small_bireal"}
BINARY = [
    p.stem
    for p in CONFIGS
    if not p.stem.startswith(("nyud", "rooms")) and "_fp" not in p.stem
]


@pytest.mark.parametrize("name", BINARY)
def test_classification_twin_is_a_config_of_its_own(name):
    binary = config_of(name)
    assert "head" in task_model_config(binary)
    assert ("teacher" not in binary.model) == (name in WITHOUT_TEACHER)
    if name in WITHOUT_TEACHER:
        return
    if "teacher_model" in binary.model:
        assert binary.model.teacher == "resnet34.pth"
        return
    twin = config_of(Path(binary.model.teacher).parts[1])
    if name in PER_BLOCK:
        twin = load_config(twin.filename, {"model.backbone.shortcuts": "per_block"})
    expected = full_precision_twin(binary.model.model.to_dict())
    found = twin.model.to_dict()
    # The published loss of the binary network alone.
    expected["head"].pop("label_smoothing", None)
    assert found == expected
    assert twin.train_dataloader.dataset.type == binary.train_dataloader.dataset.type


def test_short_classification_twin_trains_alike():
    for data in ("cifar10", "fashion_mnist"):
        binary = config_of(f"{data}_resnet20_bireal")
        twin = config_of(f"{data}_resnet20_fp")
        for part in ("optim_wrapper", "param_scheduler", "train_dataloader"):
            assert twin.to_dict()[part] == binary.to_dict()[part]


# Epochs, pictures a batch (over all GPUs) and the data set's pictures.
RECIPES = [
    ("cifar10_resnet20_irnet", 400, 128, 50_000, 1),
    ("cifar10_resnet20_rbnn", 1000, 256, 50_000, 1),
    ("cifar10_vgg_small_irnet", 300, 128, 50_000, 1),
    ("cifar100_resnet18_rbnn", 400, 100, 50_000, 1),
    ("fashion_mnist_resnet20_fp", 2, 128, 60_000, 1),
    ("imagenet_resnet18_fp", 90, 256, 1_281_167, 2),
    ("imagenet_resnet34_bireal", 256, 512, 1_281_167, 4),
    ("imagenet_resnet18_rbnn", 150, 512, 1_281_167, 4),
    ("imagenet_resnet18_reactnet", 128, 512, 1_281_167, 4),
    ("imagenet_reactnet_a_step1", 128, 256, 1_281_167, 2),
]


@pytest.mark.parametrize(
    ("name", "epochs", "batch", "pictures", "gpus"), RECIPES, ids=lambda r: str(r)
)
def test_recipes_have_their_epochs(name, epochs, batch, pictures, gpus):
    config = config_of(name)
    assert config.train_dataloader.batch_size * gpus == batch
    assert config.train_cfg.max_iters == epochs * (pictures // batch)


def test_reactnet_decays_the_weights_of_convolutions_in_its_first_step_only():
    for name, decay in (("_step1", 1e-5), ("", 0.0)):
        config = config_of(f"imagenet_resnet18_reactnet{name}")
        model = MODELS.build(config.model.model)
        groups = build_optim_wrapper(model, config.optim_wrapper).optimizer.param_groups
        decayed = {id(p) for g in groups if g["weight_decay"] for p in g["params"]}
        convolutions = {id(p) for p in model.parameters() if p.dim() == 4}
        assert decayed == (convolutions if decay else set())
        assert {g["weight_decay"] for g in groups} == {decay, 0.0}


@pytest.mark.full
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("cifar10_resnet20_irnet", {"model.partner": "teacher"}),
        ("cifar10_vgg_small_rbnn", {"model.partner": "teacher"}),
        ("cifar10_vgg_small_irnet", {"model.partner": "latent"}),
        ("cifar100_resnet18_rbnn", {"model.preset": "cmim_released"}),
        ("imagenet_resnet18_reactnet", {"model.partner": "teacher"}),
        (
            "imagenet_resnet18_rbnn",
            {"model.model.backbone.depth": 34, "model.partner": "teacher"},
        ),
        (
            "cifar10_vgg_small_bireal_full",
            {
                "model.model.backbone.method": "reactnet",
                "model.model.backbone.method.step": "schedule",
                "model.partner": "teacher",
            },
        ),
        ("imagenet_reactnet_a", {"model.partner": "teacher"}),
        ("fashion_mnist_resnet20_bireal", {"model.partner": "teacher"}),
    ],
)
def test_recipes_train_with_cmim_by_one_option(name, options, tmp_path):
    config = load_config(FOLDER / f"{name}.py", options)
    _, losses, _ = first_step(config, tmp_path)
    added = [k for k in losses if k.startswith("cmim.loss_backbone")]
    assert added
    assert all(torch.as_tensor(v).isfinite() for v in losses.values())
