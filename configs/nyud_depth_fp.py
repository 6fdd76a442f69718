"""NYU Depth v2, depth in metres: the full-precision twin, baseline and teacher.

Data: 795 training frames, crops of 416x544. Hardware: one GPU with 16 GB. Batch 16,
20,000 steps. For an ImageNet-initialised encoder give the path of a state dict:
--cfg-options model.backbone.init_from=resnet18.pth (see docs/start.md).
Not measured yet: this recipe has not been run to its end.
"""

from mmengine.config import read_base

with read_base():
    from ._base_.nyud_depth import *

task_model.backbone.update(method="fp")
model = task_model
