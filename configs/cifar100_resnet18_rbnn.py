"""CIFAR-100: RBNN, ResNet-18, the network of CMIM's released code.

Data: the official files, 50,000 training pictures of 32x32, cropped with padding 4 and
flipped. Hardware: 1 GPU. Batch 100, 400 epochs: SGD at 0.1 with a cosine, weight decay
1e-4, t from 1e-2 to 10, a rotation an epoch (github.com/42Shawn/CMIM, commit 045d087,
CMIM/cifar100/utils/options.py; published: 65.4 %, and 71.2 % with CMIM). Its 1x1
shortcuts are binary too, here they are not. With CMIM as released:
model.preset=cmim_released; as in the other configs: model.partner=teacher; both after
cifar100_resnet18_fp.py with model.backbone.shortcuts=per_block. Not measured yet.
"""

from mmengine.config import read_base

with read_base():
    from ._base_.cifar100_classification import *

task_model.backbone.update(
    depth=18,
    method=dict(name="rbnn", rotations=400, rotation_gradient=False),
    shortcuts="per_block",
)
task_model.head.update(in_channels=512)
train_dataloader.update(batch_size=100)
train_cfg.update(max_iters=200_000)
model.update(model=task_model, teacher="work_dirs/cifar100_resnet18_fp/last.pth")
