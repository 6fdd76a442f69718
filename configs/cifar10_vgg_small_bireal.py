"""CIFAR-10: VGG-small with Bi-Real's binarizers.

Data: 50,000 training pictures of 32x32. Hardware: 2 CPU cores. Batch 128, 2,000 steps.
"""

from mmengine.config import read_base

from cmim.encoders import BinaryVGGSmall
from cmim.models import CMIM

with read_base():
    from ._base_.cifar10_classification_small import *

task_model.backbone = dict(type=BinaryVGGSmall, method="bireal")
# The published classifier reads all 4x4 places, not their mean.
task_model.head.update(in_channels=512 * 4 * 4, pool=False)
model = dict(type=CMIM, model=task_model, partner="none")
