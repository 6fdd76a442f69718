"""Whole runs with a teacher of another family, its features kept."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmseg.registry import MODELS

import tasks.segmentation  # noqa: F401 - registers model and head
from cmim.engine.config import ConfigError, load_config
from cmim.engine.train import prepare_training, train

# Each trains twice.
pytestmark = pytest.mark.full

CONFIG = Path(__file__).parents[3] / "configs" / "rooms_seg_bireal.py"
STUDENT = {
    "model.model.backbone.base_channels": 4,
    "model.model.decode_head.in_channels": 32,
    "model.model.decode_head.channels": 8,
    "train_dataloader.num_workers": 0,
    "train_dataloader.batch_size": 4,
    "train_dataloader.dataset.pipeline.1.base_size": (48, 64),
    "train_dataloader.dataset.pipeline.1.crop_size": (48, 64),
    # 18 pictures: the second epoch begins in the fifth step.
    "train_cfg.max_iters": 6,
    "train_cfg.val_interval": 100,
    "default_hooks.checkpoint.interval": 2,
    "log_level": "ERROR",
}
# Nothing random but the flip.
FLIPPED = {
    "train_dataloader.dataset.pipeline.1.scale": (1.0, 1.0),
    "train_dataloader.dataset.pipeline.1.colour": 0,
}


class Killed(BaseException):
    """Stands for kill -9."""


@HOOKS.register_module()
class KillBeforeFive(Hook):
    """Ends a run in front of its fifth step."""

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == 4:
            raise Killed


@pytest.fixture
def start(rooms, tmp_path):
    teacher = dict(
        type="SegmentationModel",
        data_preprocessor=dict(
            type="mmseg.SegDataPreProcessor", mean=[9.0] * 3, std=[90.0] * 3,
            size_divisor=1,
        ),
        backbone=dict(type="BinaryMobileNet", base_channels=3, method="fp"),
        decode_head=dict(
            type="DeepLabHead", in_channels=96, channels=4, num_classes=40
        ),
        test_cfg=dict(mode="whole"),
    )  # fmt: skip
    torch.manual_seed(0)
    network = MODELS.build(teacher)
    torch.save({"state_dict": network.state_dict()}, tmp_path / "teacher.pth")

    def start(*hooks: dict, options: dict, **more) -> dict:
        wrapper = {
            "model.partner": "teacher",
            "model.teacher": str(tmp_path / "teacher.pth"),
            "model.teacher_model": teacher,
            "model.taps": {"backbone.layer4": "backbone.layer3"},
            "model.teacher_resolution": 0.5,
            "model.teacher_cache": True,
            "model.added_losses": "FeatureDistillationLoss",
        }
        given = {"data_root": str(rooms), **STUDENT, **wrapper, **options}
        config = load_config(CONFIG, given)
        config.custom_hooks = [*config.custom_hooks, *hooks]
        prepared = prepare_training(config, str(tmp_path / "run"), **more)
        return train(prepared, final_test=False)

    return start


@pytest.mark.slow
def test_a_resumed_run_with_kept_features_is_the_same(start, tmp_path):
    last = tmp_path / "run" / "last.pth"
    start(options=FLIPPED)
    expected = torch.load(last, weights_only=True)["state_dict"]
    with pytest.raises(Killed):
        start(dict(type="KillBeforeFive"), options=FLIPPED, overwrite=True)
    start(options=FLIPPED, resume=True)
    found = torch.load(last, weights_only=True)["state_dict"]
    assert "added_losses.feature_distillation.regressors.backbone-layer4.bias" in found
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


def test_pictures_that_never_come_again_stop_the_run(start):
    with pytest.raises(ConfigError, match=r"teacher_cache .*AugmentFrame of the train"):
        start(options={})
