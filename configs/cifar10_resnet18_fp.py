"""CIFAR-10: full-precision ResNet-18, the twin of the binary ones.

Data: the official files, 50,000 training pictures of 32x32, cropped with padding 4 and
flipped. Hardware: 1 GPU. Batch 128, 400 epochs. No paper gives a recipe for this
network in full precision; the schedule is that of the binary ones, IR-Net's
(github.com/htqin/IR-Net, commit f63a590). Not measured yet.
"""

from mmengine.config import read_base

from cmim.encoders import BinaryResNet

with read_base():
    from ._base_.cifar10_official import (
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

task_model.backbone = dict(type=BinaryResNet, depth=18, stem="cifar", method="fp")
task_model.head.update(in_channels=512)
model = task_model
