"""What the comparison of joint with single-task steps computes; nothing is timed."""

from pathlib import Path

import pytest

from cmim.bench import joint as bench_joint
from cmim.engine.config import load_config

CONFIGS = Path(__file__).parents[3] / "configs"


@pytest.fixture
def config():
    config = load_config(CONFIGS / "cifar10_resnet20_bireal.py")
    config.train_dataloader.batch_size = 2
    return config


def test_the_share_is_that_of_each_round(config, monkeypatch):
    def times(turns, rounds):
        assert (list(turns), rounds) == (["joint", "a", "b"], 3)
        for step in turns.values():
            step()
        return {"joint": [1.0, 4.0, 3.0], "a": [1.0, 2.0, 1.0], "b": [1.0, 2.0, 3.0]}

    monkeypatch.setattr(bench_joint, "time_turns", times)
    figures = bench_joint.bench_joint(dict.fromkeys(("joint", "a", "b"), config), 3)
    assert figures["ms"] == {"joint": 3000.0, "a": 1000.0, "b": 2000.0}
    # 1/2, 4/4 and 3/4; the medians alone would give 3/3.
    assert figures["share_of_sum"] == 0.75
    assert "0.75 of the sum" in bench_joint.format_joint(figures)


def test_the_model_trains_with_the_configs_partner(config):
    config.model.partner = "teacher"
    model = bench_joint.build_model(config)
    assert model.settings.partner == "teacher"
    assert model.training


def test_autocast_is_the_configs(config):
    assert not bench_joint.uses_autocast(config)
    config.optim_wrapper.type = "cmim.engine.autocast.AutocastOptimWrapper"
    assert bench_joint.uses_autocast(config)
