"""Fashion-MNIST: full-precision ResNet-20, the twin of the binary one.

Data: 60,000 training pictures of 28x28, grey; Debian's package dataset-fashion-mnist
has them: data_root=/usr/share/datasets/fashion-mnist. Hardware: 1 CPU core. Batch 128,
936 steps, two epochs, about 4 minutes. Not measured yet.
"""

from mmengine.config import read_base

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
task_model.backbone.update(method="fp")
model = task_model
