"""CIFAR-10: full-precision ResNet-20, the twin of the binary one.

Data: 50,000 training pictures of 32x32. Hardware: 2 CPU cores. Batch 128, 2,000 steps.
"""

from mmengine.config import read_base

with read_base():
    from ._base_.cifar10_classification_small import *

task_model.backbone.update(method="fp")
model = task_model
