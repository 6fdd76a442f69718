"""NYU Depth v2, classes and depth: Bi-Real ResNet-18, MobileNetV2 as teacher.

Data: 795 training frames, crops of 96x128. Hardware: 2 CPU cores. Batch 16, 1,000
steps. Figures of 700 steps (train_cfg.max_iters=700): docs/convert.md.
"""

from mmengine.config import read_base

with read_base():
    from ._base_.mobilenet_v2_small import encoder as _encoder
    from ._base_.mobilenet_v2_small import fused as _fused
    from ._base_.nyud_seg_depth_small import *

_teacher = dict(
    type=task_model.type,
    data_preprocessor=task_model.data_preprocessor,
    backbone=_encoder,
    heads={task: dict(head, **_fused) for task, head in task_model.heads.items()},
)
model.update(
    model=task_model,
    partner="teacher",
    teacher="work_dirs/nyud_joint_mobilenet_v2_fp_small/last.pth",
    teacher_model=_teacher,
    # Strides 8 and 8 of the student, 8 and 16 of the teacher.
    taps={
        "backbone.layer3": "backbone.network.features.6",
        "backbone.layer4": "backbone.network.features.17",
    },
)
del _teacher
