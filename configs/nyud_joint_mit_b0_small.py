"""NYU Depth v2, classes and depth: binary MiT-B0 from the full-precision one.

Data: 795 training frames, crops of 96x128. Hardware: 2 CPU cores. Batch 16, 1,000
steps. Figures of 400 steps (train_cfg.max_iters=400): docs/convert.md.
"""

from mmengine.config import read_base

with read_base():
    from ._base_.mit_b0_small import encoder as _encoder
    from ._base_.mit_b0_small import fused as _fused
    from ._base_.nyud_seg_depth_small import *

task_model.backbone = _encoder
task_model.backbone.update(
    method="reactnet", init_from="work_dirs/nyud_joint_mit_b0_fp_small/last.pth"
)
for _head in task_model.heads.values():
    _head.update(_fused)
del _head
model.update(
    model=task_model,
    partner="teacher",
    teacher="work_dirs/nyud_joint_mit_b0_fp_small/last.pth",
)
