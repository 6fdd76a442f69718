"""Normals of NYU Depth v2: 96x128 crops, 1,000 steps."""

from mmengine.config import read_base

with read_base():
    from .normals_model_small import *
    from .nyud_with_normals_small import *
    from .runtime import *
    from .schedule_small import *

train_dataloader.dataset.pipeline[0].update(labels=False)
test_dataloader.dataset.pipeline[0].update(labels=False)
