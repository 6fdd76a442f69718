"""NYU Depth v2, classes and depth at once: the full-precision ResNet-18, teacher.

Data: 795 training frames, crops of 96x128. Hardware: 1 CPU core. Batch 16, 250 steps.
Not measured to its end yet.
"""

from mmengine.config import read_base

with read_base():
    from ._base_.nyud_seg_depth_tiny import *

task_model.backbone.update(method="fp")
model = task_model
train_cfg.update(max_iters=250)
