"""CIFAR-10: ReActNet, ResNet-20, both steps in one run.

Data: the official files, 50,000 training pictures of 32x32, cropped with padding 4 and
flipped. Hardware: 1 GPU. Batch 128, 400 epochs, the weights real in the first half.
ReActNet has no recipe for CIFAR; the schedule is IR-Net's (github.com/htqin/IR-Net,
commit f63a590), the two steps of equal length are ReActNet's. With CMIM:
model.partner=teacher, after cifar10_resnet20_fp_full.py. Not measured yet.
"""

from mmengine.config import read_base

with read_base():
    from ._base_.cifar10_classification import *

task_model.backbone.update(method=dict(name="reactnet", step="schedule"))
model.update(model=task_model, teacher="work_dirs/cifar10_resnet20_fp_full/last.pth")
