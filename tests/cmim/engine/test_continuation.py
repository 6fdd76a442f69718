"""What may and what may not change between the halves of a run."""

from pathlib import Path

import pytest
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from cmim.engine.config import ConfigError, load_config
from cmim.engine.continuation import check_continuation, read_settings
from cmim.engine.train import prepare_training

CONFIGS = Path(__file__).parents[3] / "configs"


@HOOKS.register_module()
class LookOnInTests(Hook):
    """A hook of a user's own."""


def prepared(options=None, hooks=(), amp=None, name="nyud_seg_bireal_small.py", **more):
    config = load_config(CONFIGS / name, options or {})
    config.custom_hooks = [*config.custom_hooks, *hooks]
    return prepare_training(config, amp=amp, **more)


TEXT = prepared().pretty_text


@pytest.mark.parametrize("name", ["nyud_joint_bireal_small", "imagenet_reactnet_a"])
def test_a_config_continues_itself(name):
    config = prepared(name=f"{name}.py")
    check_continuation(config, config.pretty_text, "last.pth")


CHANGES = {
    "optim_wrapper.optimizer.lr": 0.02,
    "optim_wrapper.optimizer.weight_decay": 0.5,
    "optim_wrapper.optimizer.betas": (0.5, 0.9),
    "optim_wrapper.accumulative_counts": 2,
    "optim_wrapper.clip_grad": dict(max_norm=1.0),
    "param_scheduler.1.power": 2.0,
    "train_dataloader.batch_size": 8,
    "train_dataloader.dataset.split": "test",
    "train_dataloader.dataset.pipeline.1.scale": (0.5, 2.0),
    "model.weight": 3.0,
    "model.loss": "nce",
    "model.partner": "none",
    "model.model.backbone.method": "irnet",
    "model.model.decode_head.loss_decode": dict(type="FocalLoss"),
    "randomness.deterministic": True,
    "auto_scale_lr": dict(enable=True, base_batch_size=4),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_changes_the_result_is_refused_by_its_name(name):
    config = prepared({name: CHANGES[name]})
    with pytest.raises(ConfigError, match=rf"last.pth' was started.*{name}"):
        check_continuation(config, TEXT, "last.pth")
    with pytest.raises(ConfigError, match=rf"last.pth' was started.*{name}"):
        check_continuation(prepared(), config.pretty_text, "last.pth")


def test_both_values_and_the_way_out_are_said():
    config = prepared({"optim_wrapper.optimizer.lr": 0.02})
    with pytest.raises(ConfigError) as error:
        check_continuation(config, TEXT, "last.pth")
    said = str(error.value)
    assert "optim_wrapper.optimizer.lr (0.002 then, 0.02 now)" in said
    assert "resume with optim_wrapper.optimizer.lr=0.002" in said


def test_the_precision_is_a_part_of_the_run():
    with pytest.raises(ConfigError, match="resume with the same --amp as then"):
        check_continuation(prepared(amp="bfloat16"), TEXT, "last.pth")
    with pytest.raises(ConfigError, match="resume with the same --amp as then"):
        check_continuation(prepared(), prepared(amp="bfloat16").pretty_text, "last.pth")


@pytest.mark.parametrize(
    "options",
    [
        {"train_dataloader.num_workers": 0},
        {"train_dataloader.num_workers": 3, "train_dataloader.prefetch_factor": 2},
        {"test_dataloader.batch_size": 1},
        {"default_hooks.checkpoint.interval": 7, "default_hooks.logger.interval": 3},
        {"log_level": "ERROR", "visualizer": dict(type="Visualizer")},
        {"train_dataloader.dataset.pipeline.0.cache": False},
        {"optim_wrapper.optimizer.lr": 2e-3},
        {"data_root": "moved/nyuv2"},
    ],
    ids=str,
)
def test_what_changes_nothing_may_change(options):
    check_continuation(prepared(options), TEXT, "last.pth")


def test_hooks_that_look_on_may_change_and_ema_may_not(capsys):
    check_continuation(prepared(record_flips=5), TEXT, "last.pth")
    assert capsys.readouterr().out == ""
    own = prepared(hooks=[dict(type="LookOnInTests", priority=3)])
    check_continuation(own, TEXT, "last.pth")
    with pytest.raises(ConfigError, match=r"custom_hooks.EMAHook.type \(not set then"):
        check_continuation(prepared(hooks=[dict(type="EMAHook")]), TEXT, "last.pth")


def test_nothing_in_the_text_is_executed(tmp_path):
    text = (
        f"a = open({str(tmp_path / 'made')!r}, 'w')\nb = dict(**dict(c=1), d={{2: 3}})"
    )
    found = read_settings(text)
    assert found["b.c"] == 1
    assert found["b.d.2"] == 3
    assert not (tmp_path / "made").exists()
