"""NYU Depth v2, 40-class segmentation: Bi-Real ResNet-18 of few milliseconds.

Data: 795 training frames, crops of 96x128. Hardware: 2 CPU cores. Batch 16, 1,000
steps. Not measured yet.
"""

from mmengine.config import read_base

with read_base():
    from ._base_.fast_small import encoder as _encoder
    from ._base_.fast_small import fused as _fused
    from ._base_.fast_small import taps as _taps
    from ._base_.mobilenet_v2_small import encoder as _known
    from ._base_.mobilenet_v2_small import fused as _known_fused
    from ._base_.nyud_seg_small import *

_teacher = dict(
    task_model,
    backbone=_known,
    decode_head=dict(task_model.decode_head, **_known_fused),
)
task_model.backbone = _encoder
task_model.decode_head.update(_fused)
model.update(
    model=task_model,
    partner="teacher",
    teacher="work_dirs/nyud_seg_mobilenet_v2_fp_small/last.pth",
    teacher_model=_teacher,
    taps=_taps,
)
del _teacher
