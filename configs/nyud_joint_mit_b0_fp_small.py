"""NYU Depth v2, classes and depth: MiT-B0 from scratch, full precision.

Data: 795 training frames, crops of 96x128. Hardware: 2 CPU cores. Batch 16, 1,000
steps. Figures of 400 steps (train_cfg.max_iters=400): docs/convert.md.
"""

from mmengine.config import read_base

with read_base():
    from ._base_.mit_b0_small import encoder as _encoder
    from ._base_.mit_b0_small import fused as _fused
    from ._base_.nyud_seg_depth_small import *

task_model.backbone = _encoder
for _head in task_model.heads.values():
    _head.update(_fused)
del _head
model = task_model
