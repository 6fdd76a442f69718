"""ImageNet: full-precision ResNet-18, the twin of the binary one.

Data: 1.28 million training pictures, crops of 224x224. Hardware: 4 GPUs with 64
pictures each. Never trained here: the config is for building, counting and timing the
published network; its schedule is a starting point. Expected cost: 1.81e9
multiply-accumulates and 374.1 Mbit (published: 1.81 to 1.82e9, 374.1 Mbit).
"""

from mmengine.config import read_base

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

task_model.backbone.update(method="fp")
model = task_model
