"""NYU Depth v2, classes, depth and normals at once: Bi-Real ResNet-18 with CMIM.

Data: 795 training frames, crops of 96x128. Hardware: 2 CPU cores. Batch 16, 1,000
steps. Expected figures, measured on all 654 test frames: docs/results.md.
"""

from mmengine.config import read_base

with read_base():
    from ._base_.nyud_joint_small import *

model.update(model=task_model, teacher="work_dirs/nyud_joint_fp_small/last.pth")
