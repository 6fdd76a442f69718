"""NYU Depth v2, classes and depth at once: Bi-Real ResNet-18 with CMIM.

Data: 795 training frames, crops of 96x128. Hardware: 1 CPU core. Batch 16, 250 steps.
Not measured to its end yet.
"""

from mmengine.config import read_base

with read_base():
    from ._base_.nyud_seg_depth_tiny import *

model.update(
    model=task_model,
    partner="teacher",
    teacher="work_dirs/nyud_seg_depth_fp_tiny/last.pth",
)
train_cfg.update(max_iters=250)
