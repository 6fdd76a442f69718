"""NYU Depth v2, classes and depth: binary MobileNetV2 from the full-precision one.

Data: 795 training frames, crops of 96x128. Hardware: 2 CPU cores. Batch 16, 700 steps.
Expected figures, measured on all 654 test frames: docs/convert.md.
"""

from mmengine.config import read_base

with read_base():
    from ._base_.mobilenet_v2_small import encoder as _encoder
    from ._base_.mobilenet_v2_small import fused as _fused
    from ._base_.nyud_seg_depth_small import *

task_model.backbone = _encoder
# Latent weights and teacher are the trained network: it knows something, made binary.
task_model.backbone.update(
    method="reactnet",
    pretrained=None,
    init_from="work_dirs/nyud_joint_mobilenet_v2_fp_small/last.pth",
)
for _head in task_model.heads.values():
    _head.update(_fused)
del _head
model.update(
    model=task_model,
    partner="teacher",
    teacher="work_dirs/nyud_joint_mobilenet_v2_fp_small/last.pth",
)
train_cfg.update(max_iters=700)
