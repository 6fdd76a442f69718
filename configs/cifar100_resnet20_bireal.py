"""CIFAR-100: Bi-Real ResNet-20.

Data: the official files, 50,000 training pictures of 32x32, cropped with padding 4 and
flipped. Hardware: 1 GPU. Batch 128, 400 epochs, IR-Net's schedule for CIFAR-10
(github.com/htqin/IR-Net, commit f63a590). Other methods:
model.model.backbone.method=NAME. With CMIM: model.partner=teacher, after
cifar100_resnet20_fp.py. Not measured yet.
"""

from mmengine.config import read_base

with read_base():
    from ._base_.cifar100_classification import *

model.update(model=task_model, teacher="work_dirs/cifar100_resnet20_fp/last.pth")
