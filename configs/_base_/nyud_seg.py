"""Segmentation of NYU Depth v2: 416x544 crops, 20,000 steps."""

from mmengine.config import read_base

with read_base():
    from .nyud import *
    from .runtime import *
    from .schedule_full import *
    from .seg_model import *

train_dataloader.dataset.pipeline[0].update(depth=False)
test_dataloader.dataset.pipeline[0].update(depth=False)
