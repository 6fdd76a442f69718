"""GradualBinarization: its steps by hand, and runs that are killed and resumed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from torch import nn

from cmim.checkpoint import read_checkpoint
from cmim.convert import ConvertedLayer, Phase, convert, unplaced
from cmim.encoders import BinarizedEncoder, BinaryResNet
from cmim.engine.config import load_config
from cmim.engine.evaluate import load_task_model
from cmim.engine.train import prepare_training, train
from cmim.hooks import GradualBinarization

NETWORK = """
from torch import nn

class Tiny(nn.Sequential):
    def __init__(self):
        layers = [nn.Conv2d(3, 8, 3, 2, 1)]
        for stride in (1, 2, 1, 2):
            layers += [nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, stride, 1)]
        super().__init__(*layers, nn.BatchNorm2d(8))
"""
CONFIG = Path(__file__).parents[3] / "configs" / "rooms_seg_bireal.py"
TINY = {
    "model.partner": "none",
    "model.model.decode_head.in_channels": 8,
    "model.model.decode_head.in_index": -1,
    "model.model.decode_head.channels": 8,
    "train_dataloader.num_workers": 0,
    "test_dataloader.num_workers": 0,
    "val_dataloader.num_workers": 0,
    "train_dataloader.batch_size": 2,
    "train_dataloader.dataset.pipeline.1.base_size": (48, 64),
    "train_dataloader.dataset.pipeline.1.crop_size": (32, 48),
    "val_dataloader.dataset.pipeline.1.size": (48, 64),
    "test_dataloader.dataset.pipeline.1.size": (48, 64),
    "train_cfg.max_iters": 8,
    "default_hooks.checkpoint.interval": 1,
    "default_hooks.checkpoint.best": None,
}


class Killed(BaseException):
    """Stands for kill -9."""


@HOOKS.register_module()
class KillAndNotePhases(Hook):
    """Ends a run in front of a step, and notes what was binary in the steps before."""

    seen: dict[int, str] = {}  # noqa: RUF012

    def __init__(self, step: int = 0) -> None:
        self.step = step

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.step > 0:
            raise Killed
        layers = [m for m in runner.model.modules() if isinstance(m, ConvertedLayer)]
        self.seen[runner.iter] = "".join(m.phase.value[0] for m in layers)


def config_of(rooms: Path, folder: Path, *hooks: dict, validated: bool = False):
    (folder / "tiny.py").write_text(NETWORK)
    config = load_config(CONFIG, {"data_root": str(rooms), **TINY})
    config.train_cfg.val_interval = 3 if validated else 100
    config.model.model.backbone = dict(
        type=BinarizedEncoder, network=f"{folder}/tiny.py:Tiny", method="reactnet"
    )
    config.custom_hooks = [*config.custom_hooks, *hooks]
    return config


@pytest.fixture
def start(rooms, tmp_path):
    def start(*hooks: dict, folder: str = "run", validated: bool = False, **more):
        config = config_of(rooms, tmp_path, *hooks, validated=validated)
        train(prepare_training(config, str(tmp_path / folder), **more), False)
        return read_checkpoint(tmp_path / folder / "last.pth")

    return start


# Phases of the four layers in each of 8 steps: latent, real weights, binary.
RUNS = {
    "shallow_first": ["blll"] * 1 + ["bbll"] * 2 + ["bbbl"] * 1 + ["bbbb"] * 4,
    "deep_first": ["lllb"] * 1 + ["llbb"] * 2 + ["lbbb"] * 1 + ["bbbb"] * 4,
    "activations_first": ["rrrr"] * 4 + ["bbbb"] * 4,
}


@pytest.mark.full
@pytest.mark.parametrize("order", RUNS)
def test_a_run_killed_in_front_of_any_step_ends_in_the_same_bits(start, order):
    gradual = dict(type="GradualBinarization", order=order, end=0.5)
    KillAndNotePhases.seen.clear()
    whole = start(gradual, dict(type="KillAndNotePhases"), folder="whole")
    assert [KillAndNotePhases.seen[k] for k in range(8)] == RUNS[order]
    # In front of a step at which layers go over, and of one at which none does.
    for step in (4, 2):
        kill = dict(type="KillAndNotePhases", step=step)
        with pytest.raises(Killed):
            start(gradual, kill, folder=f"{step}")
        resumed = start(gradual, folder=f"{step}", resume=True)
        for key, value in whole["state_dict"].items():
            assert torch.equal(value, resumed["state_dict"][key]), (step, key)
    assert "gradual_binarization" not in whole["meta"]
    placed = [v for k, v in whole["state_dict"].items() if k.endswith("placed")]
    assert len(placed) == 4
    assert all(placed)


@pytest.mark.full
def test_before_the_end_validation_checkpoint_and_test_say_so(
    start, rooms, tmp_path, capfd
):
    gradual = dict(type="GradualBinarization", end=0.5)
    with pytest.raises(Killed):
        start(gradual, dict(type="KillAndNotePhases", step=4), validated=True)
    said = capfd.readouterr()
    assert "this validation: 2 of 4 layers were not fully" in said.out + said.err
    last = tmp_path / "run" / "last.pth"
    record = dict(waiting=1, layers=4, end=4)
    assert read_checkpoint(last)["meta"]["gradual_binarization"] == record
    model = load_task_model(config_of(rooms, tmp_path), str(last))
    said = capfd.readouterr()
    assert "last.pth': 1 of 4 layers were not fully" in said.out + said.err
    assert len(unplaced(model)) == 1


def runner_of(model: nn.Module, step: int = 0) -> SimpleNamespace:
    return SimpleNamespace(model=model, iter=step, max_iters=100)


def chain(method: str = "reactnet") -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3), *(nn.Conv2d(8, 8, 1) for _ in range(5))]
    return convert(nn.Sequential(*layers), method)[0]


@pytest.mark.parametrize(
    ("order", "parts", "expected"),
    [
        ("shallow_first", 2, [0, 0, 60, 60]),
        ("shallow_first", 3, [0, 0, 30, 60]),
        ("deep_first", 4, [60, 40, 20, 0]),
        ("activations_first", 4, [60, 60, 60, 60]),
    ],
)
def test_the_step_of_each_layer(order, parts, expected):
    hook = GradualBinarization(order, end=0.6, parts=parts)
    assert list(hook.steps(list("abcd"), 100).values()) == expected


@pytest.mark.parametrize("step", [0, 20, 21, 60, 99])
def test_phases_are_a_function_of_the_step(step):
    """Set at the beginning of a run, or changed on the way."""
    fresh, run = chain(), chain()
    GradualBinarization(end=0.6).before_train(runner_of(fresh, step))
    hook = GradualBinarization(end=0.6)
    hook.before_train(runner_of(run))
    for k in range(step + 1):
        hook.before_train_iter(runner_of(run, k), k)
    phases = [[m.phase for m in net if isinstance(m, ConvertedLayer)]
              for net in (fresh, run)]  # fmt: skip
    assert phases[0] == phases[1]
    assert phases[0].count(Phase.BINARY) == 1 + (step >= 20) + (step >= 40) + (
        step >= 60
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (dict(order="stages"), "order 'stages' is unknown; choose from shallow_first"),
        (dict(end=1.0), "end must lie between 0 and 1, got 1.0"),
        (dict(parts=1), "parts must be at least 2, got 1"),
    ],
)
def test_options_are_checked(options, said):
    with pytest.raises(ValueError, match=said):
        GradualBinarization(**options)


def test_networks_that_cannot_become_binary_gradually_are_refused():
    hook = GradualBinarization()
    with pytest.raises(ValueError, match=r"and 'layer1.0.unit1.conv' is none|is none"):
        hook.before_train(runner_of(BinaryResNet(method="bireal", base_channels=4)))
    with pytest.raises(ValueError, match="finds no converted layer"):
        hook.before_train(runner_of(nn.Conv2d(3, 4, 1)))
    with pytest.raises(ValueError, match=r"parts=9 is more than the 4 layers"):
        GradualBinarization(parts=9).before_train(runner_of(chain()))
    placed = chain().train()
    placed(torch.randn(2, 3, 8, 8))
    with pytest.raises(ValueError, match=r"'2' is binary already"):
        hook.before_train(runner_of(placed))
    GradualBinarization("activations_first").before_train(runner_of(placed))
