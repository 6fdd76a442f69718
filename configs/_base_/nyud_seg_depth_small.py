"""Classes and depth of NYU Depth v2: 96x128 crops, 1,000 steps."""

from mmengine.config import read_base

with read_base():
    from .nyud_small import *
    from .runtime import *
    from .schedule_small import *
    from .seg_depth_model_small import *

# Zoom divides depth and cannot be seen in a crop: its mean must be 1, or the network
# learns a world that is too near.
train_dataloader.dataset.pipeline[1].update(scale=(0.8, 1.25))
