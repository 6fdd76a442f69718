"""NYU Depth v2, surface normals: the full-precision twin, baseline and teacher.

Data: 795 training frames, crops of 96x128. Hardware: 2 CPU cores. Batch 16, 1,000
steps. Not measured yet: this recipe has not been run to its end.
"""

from mmengine.config import read_base

with read_base():
    from ._base_.nyud_normals_small import *

task_model.backbone.update(method="fp")
model = task_model
