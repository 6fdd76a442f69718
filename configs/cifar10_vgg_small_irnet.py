"""CIFAR-10: IR-Net, VGG-small.

Data: the official files, 50,000 training pictures of 32x32, cropped with padding 4 and
flipped. Hardware: 1 GPU. Batch 128, 300 epochs: SGD at 0.007 with a cosine, weight
decay 1e-4, t from 0.1 to 10 (github.com/htqin/IR-Net, commit f63a590,
CIFAR-10/VGG-Small/main.py; published: 90.4 %). With CMIM: model.partner=teacher, after
cifar10_vgg_small_fp.py. Not measured yet.
"""

from mmengine.config import read_base

from cmim.encoders import BinaryVGGSmall

with read_base():
    from ._base_.cifar10_classification import *

task_model.backbone = dict(type=BinaryVGGSmall, method=dict(name="irnet"))
# The published classifier reads all 4x4 places, not their mean.
task_model.head.update(in_channels=512 * 4 * 4, pool=False)
train_cfg.update(max_iters=117_000)
optim_wrapper.optimizer.update(lr=0.007)
model.update(model=task_model, teacher="work_dirs/cifar10_vgg_small_fp/last.pth")
