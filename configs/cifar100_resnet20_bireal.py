"""CIFAR-100: Bi-Real ResNet-20.

Data: the official files, 50,000 training pictures of 32x32, cropped with padding 4 and
flipped. Hardware: 1 GPU. Batch 128, 400 epochs, IR-Net's schedule for CIFAR-10
(github.com/htqin/IR-Net, commit f63a590). Other methods:
model.model.backbone.method=NAME. With CMIM: model.partner=teacher, after
cifar100_resnet20_fp.py. Not measured yet.
"""

from mmengine.config import read_base

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

task_model.head.update(num_classes=100)
task_model.data_preprocessor.update(
    mean=[129.285, 124.185, 112.455], std=[68.085, 65.28, 70.38]
)
model = dict(
    type=CMIM,
    model=task_model,
    partner="none",
    # As many anchors a batch as in the dense tasks; 32 a picture would take ten times
    # as long as the network itself.
    pixels=4,
    teacher="work_dirs/cifar100_resnet20_fp/last.pth",
)
