"""CIFAR-10: full-precision ResNet-18, the twin of the binary ones.

Data: the official files, 50,000 training pictures of 32x32, cropped with padding 4 and
flipped. Hardware: 1 GPU. Batch 128, 400 epochs. No paper gives a recipe for this
network in full precision; the schedule is that of the binary ones, IR-Net's
(github.com/htqin/IR-Net, commit f63a590). Not measured yet.
"""

from mmengine.config import read_base

with read_base():
    from ._base_.cifar10_classification import *

task_model.backbone.update(depth=18, method="fp")
task_model.head.update(in_channels=512)
model = task_model
