"""CIFAR-100: full-precision ResNet-20, the twin of the binary one.

Data: the official files, 50,000 training pictures of 32x32, cropped with padding 4 and
flipped. Hardware: 1 GPU. Batch 128, 400 epochs, IR-Net's schedule for CIFAR-10
(github.com/htqin/IR-Net, commit f63a590), as the binary one. Not measured yet.
"""

from mmengine.config import read_base

with read_base():
    from ._base_.cifar100_classification import *

task_model.backbone.update(method="fp")
model = task_model
