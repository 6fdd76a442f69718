"""CIFAR-100: full-precision ResNet-20, the twin of the binary one.

Data: the official files, 50,000 training pictures of 32x32, cropped with padding 4 and
flipped. Hardware: 1 GPU. Batch 128, 400 epochs, IR-Net's schedule for CIFAR-10
(github.com/htqin/IR-Net, commit f63a590), as the binary one. Not measured yet.
"""

from mmengine.config import read_base

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

task_model.backbone.update(method="fp")
task_model.head.update(num_classes=100)
task_model.data_preprocessor.update(
    mean=[129.285, 124.185, 112.455], std=[68.085, 65.28, 70.38]
)
model = task_model
