"""Depth of NYU Depth v2: 416x544 crops, 20,000 steps."""

from mmengine.config import read_base

with read_base():
    from .depth_model import *
    from .nyud import *
    from .runtime import *
    from .schedule_full import *

train_dataloader.dataset.pipeline[0].update(labels=False)
# Zoom divides depth and cannot be seen in a crop: its mean must be 1, or the network
# learns a world that is too near.
train_dataloader.dataset.pipeline[1].update(scale=(0.87, 1.15))
test_dataloader.dataset.pipeline[0].update(labels=False)
