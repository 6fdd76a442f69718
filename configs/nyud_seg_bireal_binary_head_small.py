"""NYU Depth v2, 40-class segmentation: Bi-Real ResNet-18 with a binary head.

Head: 3x3 atrous branches and the projection behind them are binary, with shortcuts
around them; its first and its last layer stay full precision. Made to be exported
(tools/export.py): a full-precision head takes most of an exported network's time.

Data: 795 training frames, crops of 96x128. Hardware: 2 CPU cores. Batch 16, 1,000
steps. Expected figures, measured on all 654 test frames: docs/results.md.
"""

from mmengine.config import read_base

with read_base():
    from ._base_.nyud_seg_small import *

task_model.decode_head.update(method="bireal", binary_projection=True)
model.update(model=task_model)
