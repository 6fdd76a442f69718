"""Fashion-MNIST: Bi-Real ResNet-20.

Data: 60,000 training pictures of 28x28, grey; Debian's package dataset-fashion-mnist
has them: data_root=/usr/share/datasets/fashion-mnist. Hardware: 1 CPU core. Batch 128,
936 steps, two epochs, about 4 minutes. With CMIM: model.partner=teacher, after
fashion_mnist_resnet20_fp.py. Not measured yet.
"""

from mmengine.config import read_base

from cmim.models import CMIM

with read_base():
    from ._base_.classification_model_cifar import task_model, test_evaluator
    from ._base_.fashion_mnist import (
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
    from ._base_.schedule_cifar import optim_wrapper, param_scheduler, train_cfg

# The data set's own mean and deviation.
task_model.data_preprocessor.update(mean=[72.94] * 3, std=[90.02] * 3)
train_cfg.update(max_iters=936)
model = dict(
    type=CMIM,
    model=task_model,
    partner="none",
    # As many anchors a batch as in the dense tasks; 32 a picture would take ten times
    # as long as the network itself.
    pixels=4,
    teacher="work_dirs/fashion_mnist_resnet20_fp/last.pth",
)
