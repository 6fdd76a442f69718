"""NYU Depth v2, 40-class segmentation: Bi-Real ResNet-18 with a binary head.

Head: 3x3 atrous branches and the projection behind them are binary, with shortcuts
around them; its first and its last layer stay full precision. Made to be exported
(tools/export.py): a full-precision head takes most of an exported network's time.

Data: 795 training frames, crops of 416x544. Hardware: one GPU with 16 GB. Batch 16,
20,000 steps. For an ImageNet-initialised encoder give the path of a state dict:
--cfg-options model.model.backbone.init_from=resnet18.pth (see docs/start.md).
Not measured yet: this recipe has not been run to its end.
"""

from mmengine.config import read_base

with read_base():
    from ._base_.nyud_seg import *

task_model.decode_head.update(method="bireal", binary_projection=True)
model.update(model=task_model)
