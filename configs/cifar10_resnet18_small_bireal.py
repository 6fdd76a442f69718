"""CIFAR-10: the encoder of the small dense configs, to initialise them.

Data: 50,000 training pictures of 32x32. Hardware: 2 CPU cores. Batch 128, 2,000 steps.
Afterwards: python tools/train.py configs/nyud_seg_bireal_small.py --cfg-options
model.model.backbone.init_from=work_dirs/cifar10_resnet18_small_bireal/last.pth
"""

from mmengine.config import read_base

from cmim.models import CMIM

with read_base():
    from ._base_.cifar10_classification_small import *

# The stem, the strides and the normalisation of the dense configs: the weights meet
# the same sizes of objects and the same colours there.
task_model.backbone.update(
    depth=18, stem="imagenet", base_channels=48, output_stride=8, dilated=False
)
task_model.data_preprocessor.update(
    mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]
)
task_model.head.update(in_channels=384)
model = dict(type=CMIM, model=task_model, partner="none")
