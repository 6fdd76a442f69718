"""CIFAR-10: RBNN, VGG-small.

Data: the official files, 50,000 training pictures of 32x32, cropped with padding 4 and
flipped. Hardware: 1 GPU. Batch 256, 1,000 epochs: SGD at 0.1, 5 epochs of warm-up, a
cosine, weight decay 1e-4, t from 1e-2 to 10, a rotation an epoch
(github.com/lmbxmu/RBNN, commit 0b5e73b, cifar/run.sh; published: 91.3 %). With CMIM:
model.partner=teacher, after cifar10_vgg_small_fp.py. Not measured yet.
"""

from mmengine.config import read_base

from cmim.encoders import BinaryVGGSmall

with read_base():
    from ._base_.cifar10_rbnn import *

task_model.backbone = dict(
    type=BinaryVGGSmall,
    method=dict(name="rbnn", rotations=1000, rotation_gradient=False),
)
# The published classifier reads all 4x4 places, not their mean.
task_model.head.update(in_channels=512 * 4 * 4, pool=False)
model.update(model=task_model, teacher="work_dirs/cifar10_vgg_small_fp/last.pth")
