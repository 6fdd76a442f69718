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

from cmim.encoders import BinaryResNet
from cmim.models import CMIM

with read_base():
    from ._base_.cifar100 import (
        data_root,
        test_cfg,
        test_dataloader,
        train_dataloader,
    )
    from ._base_.classification_model_cifar import task_model, test_evaluator
    from ._base_.runtime import (
        custom_hooks,
        default_hooks,
        default_scope,
        env_cfg,
        log_processor,
        randomness,
        sync_bn,
    )
    from ._base_.schedule_cifar_full import optim_wrapper, param_scheduler, train_cfg

task_model.backbone = dict(
    type=BinaryResNet,
    depth=18,
    stem="cifar",
    method=dict(name="rbnn", rotations=400, rotation_gradient=False),
    shortcuts="per_block",
)
task_model.head.update(in_channels=512, num_classes=100)
task_model.data_preprocessor.update(
    mean=[129.285, 124.185, 112.455], std=[68.085, 65.28, 70.38]
)
train_dataloader.update(batch_size=100)
train_cfg.update(max_iters=200_000)
model = dict(
    type=CMIM,
    model=task_model,
    partner="none",
    # As many anchors a batch as in the dense tasks; 32 a picture would take ten times
    # as long as the network itself.
    pixels=4,
    teacher="work_dirs/cifar100_resnet18_fp/last.pth",
)
