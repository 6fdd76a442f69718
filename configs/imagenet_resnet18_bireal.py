"""ImageNet: Bi-Real ResNet-18.

Data: 1.28 million training pictures, crops of 224x224. Hardware: 4 GPUs with 64
pictures each. Never trained here: the config is for building, counting and timing the
published network; its schedule is a starting point. Expected cost: 1.64e8
operations and 33.6 Mbit (published: 1.63e8, 33.6 Mbit).
"""

from mmengine.config import read_base

from cmim.models import CMIM

with read_base():
    from ._base_.classification_model_imagenet import task_model, test_evaluator
    from ._base_.imagenet import (
        data_root,
        test_cfg,
        test_dataloader,
        train_dataloader,
    )
    from ._base_.runtime import (
        custom_hooks,
        default_hooks,
        default_scope,
        env_cfg,
        log_processor,
        randomness,
        sync_bn,
    )
    from ._base_.schedule_imagenet import optim_wrapper, param_scheduler, train_cfg

model = dict(
    type=CMIM,
    model=task_model,
    partner="none",
    teacher="work_dirs/imagenet_resnet18_fp/last.pth",
)
