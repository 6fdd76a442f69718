"""Options of loaders, loops, schedules and inference: each works or is one sentence."""

from pathlib import Path

import pytest
import torch
from mmengine.runner import EpochBasedTrainLoop
from torch.utils.data import DataLoader

from cmim.engine.config import ConfigError, load_config
from cmim.engine.train import prepare_training

CONFIG = Path(__file__).parents[3] / "configs" / "nyud_seg_bireal_small.py"
TEST_CFG = "model.model.test_cfg"


def test_without_workers_what_only_they_need_is_dropped():
    config = load_config(CONFIG, {"train_dataloader.num_workers": 0})
    loader = config.train_dataloader
    assert not {"persistent_workers", "prefetch_factor"} & set(loader)
    options = {k: v for k, v in loader.items() if k in ("num_workers", "drop_last")}
    DataLoader(torch.zeros(3), **options)
    assert load_config(CONFIG).train_dataloader.prefetch_factor == 4


@pytest.mark.parametrize(
    "change",
    [
        {"train_cfg.max_epochs": 3},
        {"train_cfg": dict(by_epoch=True, max_epochs=3)},
        {"train_cfg.type": "EpochBasedTrainLoop"},
        {"train_cfg.type": EpochBasedTrainLoop},
        {"train_cfg": dict(type="EpochBasedTrainLoop", max_epochs=3)},
    ],
    ids=str,
)
def test_epochs_are_refused_with_what_to_write(change):
    config = load_config(CONFIG, change)
    with pytest.raises(ConfigError, match=r"train_cfg.max_iters = epochs \* images"):
        prepare_training(config)


@pytest.mark.parametrize("steps", [0, -5, 2.5, True, "many", None])
def test_steps_are_a_whole_number(steps):
    said = r"max_iters (is .* at least 1|must be (at least 1|a number))"
    with pytest.raises(ConfigError, match=said):
        prepare_training(load_config(CONFIG, {"train_cfg.max_iters": steps}))


def test_a_schedule_that_counts_epochs_would_never_move_and_is_refused():
    for change in ({"param_scheduler.1.by_epoch": True}, None):
        config = load_config(CONFIG, change)
        if change is None:
            del config.param_scheduler[1]["by_epoch"]
        with pytest.raises(ConfigError, match=r"param_scheduler.1 counts epochs"):
            prepare_training(config)


def test_a_single_schedule_needs_no_list():
    config = load_config(CONFIG)
    config.param_scheduler = dict(type="PolyLR", by_epoch=False)
    assert [s["end"] for s in prepare_training(config).param_scheduler] == [1000]


def test_hooks_that_begin_at_an_epoch_are_refused():
    config = load_config(CONFIG)
    config.custom_hooks = [dict(type="EMAHook", begin_epoch=2)]
    with pytest.raises(ConfigError, match="EMAHook begins at an epoch"):
        prepare_training(config)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (dict(mode="sldie"), "mode is 'sldie'; choose from whole, slide"),
        (dict(mode="slide"), "needs crop_size"),
        (dict(mode="slide", crop_size=(96, 128)), "needs stride"),
        (dict(mode="slide", crop_size=96, stride=(64, 64)), "needs crop_size"),
        (dict(mode="slide", crop_size=(96, 128), stride=(0, 64)), "needs stride"),
        (dict(mode="slide", crop_size=(8, 8), stride=(9, 8)), "exceeds crop_size"),
        (dict(mode="whole", crop="x"), "no option 'crop'; it accepts mode, crop_size"),
    ],
    ids=str,
)
def test_windows_need_a_size_and_no_gaps(options, said):
    with pytest.raises(ConfigError, match=said):
        load_config(CONFIG, {TEST_CFG: options})


@pytest.mark.parametrize("options", [None, {}, dict(mode="whole")])
def test_pictures_are_whole_where_nothing_is_said(options):
    assert load_config(CONFIG, {TEST_CFG: options}).model.model.test_cfg == dict(
        mode="whole"
    )
