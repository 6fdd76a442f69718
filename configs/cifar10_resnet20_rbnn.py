"""CIFAR-10: RBNN, ResNet-20.

Data: the official files, 50,000 training pictures of 32x32, cropped with padding 4 and
flipped. Hardware: 1 GPU. Batch 256, 1,000 epochs: SGD at 0.1, 5 epochs of warm-up, a
cosine, weight decay 1e-4, t from 1e-2 to 10, a rotation an epoch
(github.com/lmbxmu/RBNN, commit 0b5e73b, cifar/run.sh; published: 87.8 %, one shortcut a
convolution). There a batch-norm stands in front of the classifier too and batch-norm
scales start at 1e-8. With CMIM: model.partner=teacher, after
cifar10_resnet20_fp_full.py. Not measured yet.
"""

from mmengine.config import read_base

with read_base():
    from ._base_.cifar10_rbnn import *

task_model.backbone.update(
    method=dict(name="rbnn", rotations=1000, rotation_gradient=False)
)
model.update(model=task_model, teacher="work_dirs/cifar10_resnet20_fp_full/last.pth")
