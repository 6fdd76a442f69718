"""CIFAR-10: full-precision ResNet-20, the twin of the binary one.

Data: 50,000 training pictures of 32x32. Hardware: 2 CPU cores. Batch 128, 2,000 steps.
"""

from mmengine.config import read_base

with read_base():
    from ._base_.cifar10 import (
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
    from ._base_.schedule_cifar import optim_wrapper, param_scheduler, train_cfg

task_model.backbone.update(method="fp")
model = task_model
