"""What the command line adds to a config."""

from pathlib import Path

import pytest
import torch

from cmim.engine.autocast import AutocastOptimWrapper
from cmim.engine.config import ConfigError, load_config
from cmim.engine.train import prepare_training

CONFIG = Path(__file__).parents[3] / "configs" / "nyud_seg_bireal_small.py"


def test_schedules_end_with_the_run():
    config = prepare_training(load_config(CONFIG, {"train_cfg.max_iters": 300}))
    assert [s["end"] for s in config.param_scheduler] == [100, 300]


def test_a_run_within_its_warm_up_has_no_decay():
    config = prepare_training(load_config(CONFIG, {"train_cfg.max_iters": 7}))
    assert len(config.param_scheduler) == 1


def test_seed_is_the_command_line_s_then_the_config_s_then_zero():
    assert prepare_training(load_config(CONFIG), seed=5).randomness["seed"] == 5
    loaded = load_config(CONFIG, {"randomness.seed": 3})
    assert prepare_training(loaded).randomness["seed"] == 3
    loaded.randomness = {}
    assert prepare_training(loaded).randomness["seed"] == 0


def test_precision_is_checked():
    with pytest.raises(ConfigError, match="choose from bfloat16, float16"):
        prepare_training(load_config(CONFIG), amp="int8")
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="needs a GPU"):
            prepare_training(load_config(CONFIG), amp="float16")


def test_autocast_wrapper_runs_the_forward_pass_in_bfloat16():
    layer = torch.nn.Linear(2, 2)
    wrapper = AutocastOptimWrapper(torch.optim.SGD(layer.parameters(), lr=1.0))
    with wrapper.optim_context(layer):
        out = layer(torch.ones(1, 2))
    assert out.dtype == torch.bfloat16
    before = layer.weight.detach().clone()
    wrapper.update_params(out.float().sum())
    assert layer.weight.dtype == torch.float32
    assert not torch.equal(layer.weight, before)
