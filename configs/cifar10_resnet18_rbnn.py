"""CIFAR-10: RBNN, ResNet-18.

Data: the official files, 50,000 training pictures of 32x32, cropped with padding 4 and
flipped. Hardware: 1 GPU. Batch 256, 1,000 epochs: SGD at 0.1, 5 epochs of warm-up, a
cosine, weight decay 1e-4, t from 1e-2 to 10, a rotation an epoch
(github.com/lmbxmu/RBNN, commit 0b5e73b, cifar/run.sh; published: 92.2 %, one shortcut a
block as here). With CMIM: model.partner=teacher, after cifar10_resnet18_fp.py with
model.backbone.shortcuts=per_block. Not measured yet.
"""

from mmengine.config import read_base

with read_base():
    from ._base_.cifar10_rbnn import *

task_model.backbone.update(
    depth=18,
    method=dict(name="rbnn", rotations=1000, rotation_gradient=False),
    shortcuts="per_block",
)
task_model.head.update(in_channels=512)
model.update(model=task_model, teacher="work_dirs/cifar10_resnet18_fp/last.pth")
