"""CIFAR-10: full-precision ResNet-20 with the published schedule.

Data: the official files, 50,000 training pictures of 32x32, cropped with padding 4 and
flipped. Hardware: 1 GPU. Batch 128, 64,000 steps: SGD at 0.1, a tenth after 32,000 and
48,000, weight decay 1e-4 (He et al., CVPR 2016, section 4.2; published: 91.25 %, with
one shortcut a block, trained on 45,000 pictures first). Here each convolution has its
shortcut, as in the binary networks that it teaches; model.backbone.shortcuts=per_block
is the published network. Not measured yet.
"""

from mmengine.config import read_base
from mmengine.optim import MultiStepLR

with read_base():
    from ._base_.cifar10_classification import *

task_model.backbone.update(method="fp")
train_cfg.update(max_iters=64_000)
param_scheduler = [
    dict(type=MultiStepLR, milestones=[32_000, 48_000], gamma=0.1, by_epoch=False)
]
model = task_model
