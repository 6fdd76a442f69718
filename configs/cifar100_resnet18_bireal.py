"""CIFAR-100: Bi-Real ResNet-18.

Data: the official files, 50,000 training pictures of 32x32, cropped with padding 4 and
flipped. Hardware: 1 GPU. Batch 128, 400 epochs. Bi-Real Net has no recipe for CIFAR;
the schedule is IR-Net's (github.com/htqin/IR-Net, commit f63a590). ReActNet:
model.model.backbone.method=reactnet model.model.backbone.method.step=schedule. With
CMIM: model.partner=teacher, after cifar100_resnet18_fp.py. Not measured yet.
"""

from mmengine.config import read_base

with read_base():
    from ._base_.cifar100_classification import *

task_model.backbone.update(depth=18)
task_model.head.update(in_channels=512)
model.update(model=task_model, teacher="work_dirs/cifar100_resnet18_fp/last.pth")
