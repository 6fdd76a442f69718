"""Two tiny data sets, one with labels, one with depth; a joint config of both."""

import shutil
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[3]

CLASSES = ["road", "car", "tree"]
CONFIG = """
from mmengine.config import read_base

from cmim.models import CMIM
from tasks.datasets.joined import JoinedDataset

with read_base():
    from ._base_.folder_small import test_cfg, test_dataloader, train_dataloader
    from ._base_.joint_model_small import task_model, test_evaluator
    from ._base_.runtime import custom_hooks, default_hooks, default_scope, env_cfg
    from ._base_.runtime import log_processor, randomness, sync_bn
    from ._base_.schedule_small import optim_wrapper, param_scheduler, train_cfg

_labels = dict(data_root="{home}/streets", images="images/{{split}}/{{name}}.png",
    labels="labels/{{split}}/{{name}}.png", metainfo=dict(classes={classes}))
_depth = dict(data_root="{home}/roads", images="images/{{split}}/{{name}}.png",
    depth="depth/{{split}}/{{name}}.png", depth_scale=0.001)
for _loader, _split in ((train_dataloader, "train"), (test_dataloader, "val")):
    _plain = dict(_loader.dataset, split=_split)
    _parts = [dict(_plain, **_labels), dict(_plain, **_depth)]
    _loader.dataset = dict(type=JoinedDataset, datasets=_parts)
    _loader.update(num_workers=0)
train_dataloader.pop("prefetch_factor")
for _part in train_dataloader.dataset["datasets"]:
    _part["pipeline"][1].update(base_size=48, crop_size=(32, 48))
for _part in test_dataloader.dataset["datasets"]:
    _part["pipeline"][1].update(shorter=48)
test_evaluator.pop()
task_model.heads.pop("normals")
task_model.heads.seg.update(num_classes={count}, in_channels=64, channels=8)
task_model.heads.depth.update(in_channels=64, channels=8)
task_model.backbone.update(base_channels=8)
task_model.update(weighting="uncertainty")
train_dataloader.update(batch_size=3)
train_cfg.update(max_iters=4)
model = dict(type=CMIM, model=task_model, partner="latent", pixels=4)
"""


def write_parts(home):
    """Three pictures a split and data set: the one has labels, the other depth."""
    random = np.random.default_rng(3)
    for folder, kind in (("streets", "labels"), ("roads", "depth")):
        for split in ("train", "val"):
            for number in range(3):
                picture = random.integers(0, 255, (48, 64, 3)).astype(np.uint8)
                columns = np.arange(64) // 22
                stored = {
                    "labels": columns.astype(np.uint8),
                    "depth": (1500 + 1000 * columns).astype(np.uint16),
                }[kind]
                truth = np.broadcast_to(stored, (48, 64))
                for name, array in (("images", picture), (kind, truth)):
                    target = home / folder / name / split / f"{folder}{number}.png"
                    target.parent.mkdir(parents=True, exist_ok=True)
                    cv2.imwrite(str(target), array)


def write_config(home, classes=CLASSES, count=3):
    """A joint config of both, beside a copy of the project's."""
    folder = home / "configs"
    shutil.copytree(ROOT / "configs", folder, dirs_exist_ok=True)
    path = folder / "joined_config.py"
    path.write_text(CONFIG.format(home=home, classes=classes, count=count))
    return path
