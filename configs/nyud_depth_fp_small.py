"""NYU Depth v2, depth in metres: the full-precision twin, baseline and teacher.

Data: 795 training frames, crops of 96x128. Hardware: 2 CPU cores. Batch 16, 1,000
steps. Expected figures, measured on all 654 test frames: docs/results.md.
"""

from mmengine.config import read_base

with read_base():
    from ._base_.nyud_depth_small import *

task_model.backbone.update(method="fp")
model = task_model
