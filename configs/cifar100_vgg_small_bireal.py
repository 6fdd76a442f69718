"""CIFAR-100: VGG-small with Bi-Real's binarizers.

Data: the official files, 50,000 training pictures of 32x32, cropped with padding 4 and
flipped. Hardware: 1 GPU. Batch 128, 400 epochs at 0.007, IR-Net's rate for this network
on CIFAR-10 (github.com/htqin/IR-Net, commit f63a590). Other methods:
model.model.backbone.method=NAME. With CMIM: model.partner=teacher, after
cifar100_vgg_small_fp.py. Not measured yet.
"""

from mmengine.config import read_base

from cmim.encoders import BinaryVGGSmall

with read_base():
    from ._base_.cifar100_classification import *

task_model.backbone = dict(type=BinaryVGGSmall, method="bireal")
# The published classifier reads all 4x4 places, not their mean.
task_model.head.update(in_channels=512 * 4 * 4, pool=False)
optim_wrapper.optimizer.update(lr=0.007)
model.update(model=task_model, teacher="work_dirs/cifar100_vgg_small_fp/last.pth")
