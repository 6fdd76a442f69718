"""NYU Depth v2, 40-class segmentation: MobileNetV2 from ImageNet, full precision.

Data: 795 training frames, crops of 96x128. Hardware: 2 CPU cores. Batch 16, 700 steps.
Expected figures, measured on all 654 test frames: docs/convert.md.
"""

from mmengine.config import read_base

with read_base():
    from ._base_.mobilenet_v2_small import encoder as _encoder
    from ._base_.mobilenet_v2_small import fused as _fused
    from ._base_.mobilenet_v2_small import rates as _rates
    from ._base_.nyud_seg_small import *

task_model.backbone = _encoder
task_model.decode_head.update(_fused)
model = task_model
train_cfg.update(max_iters=700)
optim_wrapper.update(paramwise_cfg=_rates)
