"""CIFAR-10: IR-Net, ResNet-18.

Data: the official files, 50,000 training pictures of 32x32, cropped with padding 4 and
flipped. Hardware: 1 GPU. Batch 128, 400 epochs: SGD at 0.1 with a cosine, weight decay
1e-4. The released code has the network (github.com/htqin/IR-Net, commit f63a590,
CIFAR-10/ResNet18/resnet.py: one shortcut a block; published: 91.5 %) but not its
training: schedule and t are those of its ResNet-20. With CMIM: model.partner=teacher,
after cifar10_resnet18_fp.py with model.backbone.shortcuts=per_block. Not measured yet.
"""

from mmengine.config import read_base

with read_base():
    from ._base_.cifar10_classification import *

task_model.backbone.update(
    depth=18, method=dict(name="irnet", t_min=1e-3), shortcuts="per_block"
)
task_model.head.update(in_channels=512)
model.update(model=task_model, teacher="work_dirs/cifar10_resnet18_fp/last.pth")
