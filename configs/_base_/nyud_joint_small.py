"""Classes, depth and normals of NYU Depth v2: 96x128 crops, 1,000 steps."""

from mmengine.config import read_base

with read_base():
    from .joint_model_small import *
    from .nyud_with_normals_small import *
    from .runtime import *
    from .schedule_small import *

train_dataloader.dataset.pipeline[0].update(labels=True)
test_dataloader.dataset.pipeline[0].update(labels=True)
