"""CIFAR-10: VGG-small with Bi-Real's binarizers.

Data: 50,000 training pictures of 32x32. Hardware: 2 CPU cores. Batch 128, 2,000 steps.
"""

from mmengine.config import read_base

from cmim.encoders import BinaryVGGSmall
from cmim.models import CMIM

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

task_model.backbone = dict(type=BinaryVGGSmall, method="bireal")
# The published classifier reads all 4x4 places, not their mean.
task_model.head.update(in_channels=512 * 4 * 4, pool=False)
model = dict(type=CMIM, model=task_model, partner="none")
