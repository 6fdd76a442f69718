"""CIFAR-10: IR-Net, ResNet-20.

Data: the official files, 50,000 training pictures of 32x32, cropped with padding 4 and
flipped. Hardware: 1 GPU. Batch 128, 400 epochs: SGD at 0.1 with a cosine, weight decay
1e-4, t from 1e-3 to 10 (github.com/htqin/IR-Net, commit f63a590,
CIFAR-10/ResNet20/1w1a/trainer.py; published: 86.5 %, one shortcut a convolution). There
a batch-norm stands in front of the classifier too, the rate and t move once an epoch,
and pictures are normalised by ImageNet's statistics. With CMIM: model.partner=teacher,
after cifar10_resnet20_fp_full.py. Not measured yet.
"""

from mmengine.config import read_base

with read_base():
    from ._base_.cifar10_classification import *

task_model.backbone.update(method=dict(name="irnet", t_min=1e-3))
model.update(model=task_model, teacher="work_dirs/cifar10_resnet20_fp_full/last.pth")
