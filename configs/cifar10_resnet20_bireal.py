"""CIFAR-10: Bi-Real ResNet-20.

Data: 50,000 training pictures of 32x32. Hardware: 2 CPU cores. Batch 128, 2,000 steps.
"""

from mmengine.config import read_base

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

# No contrastive loss: model.partner=teacher needs a trained twin. It gained 9 points in
# 2,000 steps (README); the network's own latent activations changed nothing in the last
# layer and took 8 points away in shallow ones.
model = dict(
    type=CMIM,
    model=task_model,
    partner="none",
    # Of 128 pictures 4 pixels each are as many anchors as 32 of 16 frames: 32 would
    # take ten times as long as the network itself.
    pixels=4,
    teacher="work_dirs/cifar10_resnet20_fp/last.pth",
)
