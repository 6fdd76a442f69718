"""Segmentation of NYU Depth v2: 96x128 crops, 1,000 steps."""

from mmengine.config import read_base

with read_base():
    from .nyud_small import *
    from .runtime import *
    from .schedule_small import *
    from .seg_model_small import *

train_dataloader.dataset.pipeline[0].update(depth=False)
test_dataloader.dataset.pipeline[0].update(depth=False)
