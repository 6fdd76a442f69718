"""NYU Depth v2, classes and depth: binary QuickNet of few milliseconds.

Data: 795 training frames, crops of 96x128. Hardware: 2 CPU cores. Batch 16, 1,000
steps. Not measured yet.
"""

from mmengine.config import read_base

with read_base():
    from ._base_.fast_small import fused as _fused
    from ._base_.fast_small import quicknet as _encoder
    from ._base_.fast_small import taps as _taps
    from ._base_.mobilenet_v2_small import encoder as _known
    from ._base_.mobilenet_v2_small import fused as _known_fused
    from ._base_.nyud_seg_depth_small import *

_teacher = dict(
    type=task_model.type,
    data_preprocessor=task_model.data_preprocessor,
    backbone=_known,
    heads={t: dict(head, **_known_fused) for t, head in task_model.heads.items()},
)
task_model.backbone = _encoder
for _head in task_model.heads.values():
    _head.update(_fused)
del _head
model.update(
    model=task_model,
    partner="teacher",
    teacher="work_dirs/nyud_joint_mobilenet_v2_fp_small/last.pth",
    teacher_model=_teacher,
    taps=_taps,
)
del _teacher
